package config

import (
	"slices"
	"time"
)

// maxNodes bounds every number of nodes. It is far beyond what one machine
// carries; its use is that a slip of the finger is told as one.
const maxNodes = 4096

// A field is one key: its full name, where its value is kept and what it may
// be, and what it means. The values point into the configuration that the
// table was asked of.
type field struct {
	key string
	to  value
	doc string
}

// fields is the table of the fixed sections, in the order of the reference.
func (c *Config) fields() []field {
	nodes := func(p *int) value { return intValue{p, 1, maxNodes} }
	timeout := func(p *time.Duration) value { return durationValue{p, time.Millisecond, 24 * time.Hour} }
	return []field{
		{"cluster.mode", enumValue{&c.Cluster.Mode, []string{"auto", "manual", "off"}},
			"`auto`: clusters are started as tests need them. `manual`: only clusters that are up already are used. `off`: distributed tests are skipped."},
		{"cluster.engine", enumValue{&c.Cluster.Engine, []string{"process"}},
			"What starts nodes. `process`: operating-system processes on this machine."},
		{"cluster.default_nodes", nodes(&c.Cluster.DefaultNodes),
			"Size of the cluster for a requirement that names none. Where it is not set and `max_nodes` is smaller, it is `max_nodes`."},
		{"cluster.max_nodes", nodes(&c.Cluster.MaxNodes),
			"The largest cluster one test may have."},
		{"cluster.reuse", enumValue{&c.Cluster.Reuse, []string{"auto", "always", "never"}},
			"Whether used nodes serve again. `auto`: those of programs, and those of tests that say `reuse`."},
		{"cluster.short", enumValue{&c.Cluster.Short, []string{"run", "skip"}},
			"What `go test -short` does with distributed tests."},
		{"cluster.start_timeout", timeout(&c.Cluster.StartTimeout),
			"How long a cluster may take to start."},
		{"cluster.stop_timeout", timeout(&c.Cluster.StopTimeout),
			"How long a cluster may take to stop before its processes are killed."},

		{"fallback.retries", intValue{&c.Fallback.Retries, 0, 100},
			"How often a start that failed is tried again, where the cause can pass."},
		{"fallback.backoff", durationValue{&c.Fallback.Backoff, time.Millisecond, time.Hour},
			"Pause before the first retry; doubles with each, with jitter."},
		{"fallback.reduce", boolValue{&c.Fallback.Reduce},
			"Whether a test that allows it (`min=N`) may get fewer nodes than it asks for."},
		{"fallback.unavailable", enumValue{&c.Fallback.Unavailable, []string{"fail", "skip"}},
			"What becomes of a test whose cluster cannot be had. Under CI `ci.unavailable` decides."},

		{"ci.max_nodes", nodes(&c.CIConfig.MaxNodes),
			"Under CI, the largest cluster one test may have, if that is less than `cluster.max_nodes`."},
		{"ci.timeout_factor", floatValue{&c.CIConfig.TimeoutFactor, 0.1, 100},
			"Under CI, the timeouts of starting, stopping and readiness are multiplied by this."},
		{"ci.unavailable", enumValue{&c.CIConfig.Unavailable, []string{"fail", "skip"}},
			"Under CI, what becomes of a test whose cluster cannot be had."},

		{"network.addresses", enumValue{&c.Network.Addresses, []string{"auto", "per-node", "ports"}},
			"`per-node`: each node has a loopback address of its own. `ports`: all are on 127.0.0.1, with ports of their own. `auto`: `per-node` where the system can."},
		{"network.range", textValue{&c.Network.Range, rangeWhat, checkRange},
			"Where addresses are taken from; if empty, they are chosen."},
		{"network.faults", enumValue{&c.Network.Faults, []string{"auto", "namespaces", "links"}},
			"How partitions and other faults are made, see [network faults](network-faults.md): in network namespaces, or in the links between nodes. `auto`: in links where they can be had, else in namespaces."},
		{"network.host_ports", intsValue{&c.Network.HostPorts, 1, 65535, "ports"},
			"Where nodes are in network namespaces of their own: the ports of TCP and UDP at which they reach, at 127.0.0.1, what this machine has there, a database say. Elsewhere they reach all of it anyhow."},

		{"resources.max_nodes_on_machine", intValue{&c.Resources.MaxNodesOnMachine, 0, maxNodes},
			"How many nodes all test binaries of a user on this machine may run together, see [limits](limits.md). 0: from cores, memory and process limits."},

		{"artifacts.dir", textValue{&c.Artifacts.Dir, "a directory", checkText},
			"Where logs and other artifacts are kept. Relative to the file it is set in; absolute in the environment. If empty, the user's cache directory. A directory inside the module keeps Go from caching test results."},
		{"artifacts.keep", enumValue{&c.Artifacts.Keep, []string{"never", "failed", "always"}},
			"Of which tests artifacts are kept."},
		{"artifacts.dirs", boolValue{&c.Artifacts.Dirs},
			"Whether the directories of these tests' nodes are kept, too: regular files, 64 MiB a node at most."},
	}
}

// fields is the table of a [program.NAME] section.
func (p *Program) fields() []field {
	return append([]field{
		{"package", textValue{&p.Package, "an import path of a main package", checkPackage},
			"The main package to build with `go build`, with `-race` and `-cover` as the tests are; `./…` is relative to the file. Either this or `command`."},
		{"command", listValue{&p.Command, "a command as a list of strings", false, checkCommand},
			"The executable to run, and the arguments before `args`. A name is looked up in `PATH`; a path is relative to the file, and absolute in the environment. Either this or `package`."},
		{"args", listValue{&p.Args, "a list of strings", true, checkText},
			"Arguments; Go templates."},
		{"env", envValue{&p.Env},
			"Variables added to the environment of the test; the values are Go templates."},
		{"ports", listValue{&p.Ports, "a list of names of ports", true, checkName},
			"Names of the ports that a node listens on."},
	}, append(p.Ready.fields(true),
		field{"stop.signal", enumValue{&p.Stop.Signal, signals},
			"The signal that asks a node to end."},
		field{"stop.grace", durationValue{&p.Stop.Grace, time.Millisecond, 24 * time.Hour},
			"How long it may take to end before it is killed; if not set, the stop timeout in force."},
		field{"reset", resetValue{&p.Reset},
			"How data become fresh before a lease that is not shared. `\"restart\"`: with an emptied directory. `\"none\"`: not at all. A list of strings: by that command, a Go template."},
	)...)
}

// fields is the table of an [attach.NAME] section.
func (a *Attach) fields() []field {
	return append([]field{
		{"nodes", nodesValue{&a.Nodes},
			"The nodes, by index: for each, a table from the names of its ports to their addresses."},
	}, a.Ready.fields(false)...)
}

// fields is the table of ready. The log of an attached node is not at hand.
func (r *Ready) fields(log bool) []field {
	fs := []field{
		{"ready.http", textValue{&r.HTTP, "the name of a port", checkName},
			"A node is ready when GET on this port answers with a status of 2xx."},
		{"ready.path", textValue{&r.Path, "a path", checkPath},
			"The path to GET; `/` if not set."},
		{"ready.tcp", textValue{&r.TCP, "the name of a port", checkName},
			"A node is ready when this port accepts a connection."},
		{"ready.log", textValue{&r.Log, "a regular expression", checkRegexp},
			"A node is ready when a line of its output matches."},
		{"ready.exec", listValue{&r.Exec, "a command as a list of strings", false, checkCommand},
			"A node is ready when this command exits with status 0; Go templates."},
		{"ready.grpc", textValue{&r.GRPC, "the name of a port", checkName},
			"A node is ready when `grpc.health.v1` on this port says SERVING."},
		{"ready.timeout", durationValue{&r.Timeout, time.Millisecond, 24 * time.Hour},
			"How long that may take; if not set, the start timeout in force."},
	}
	if !log {
		fs = slices.DeleteFunc(fs, func(f field) bool { return f.key == "ready.log" })
	}
	return fs
}

var signals = []string{"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"}

// envName is the variable that overrides a key: DIST_CLUSTER_MAX_NODES for
// cluster.max_nodes, DIST_PROGRAM_ETCD_READY_TIMEOUT for
// program.etcd.ready.timeout.
func envName(key string) string {
	// All names are made at the first start of a test binary, which waits for it.
	b := append(make([]byte, 0, 64), "DIST_"...)
	for _, c := range []byte(key) {
		switch {
		case c == '.' || c == '-':
			c = '_'
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}
