package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestMain takes away what the environment of this run would say.
func TestMain(m *testing.M) {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "DIST_") {
			os.Unsetenv(name)
		}
	}
	os.Unsetenv("CI")
	for _, s := range services {
		os.Unsetenv(s.env)
	}
	os.Exit(m.Run())
}

// values compares what was configured, not where.
var values = cmp.Options{
	cmpopts.IgnoreUnexported(Config{}),
	cmpopts.IgnoreFields(Config{}, "File"),
	cmpopts.EquateEmpty(),
}

// module makes a module root with the given files.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.com/m\n")
	for name, text := range files {
		write(t, filepath.Join(root, name), text)
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func setenv(t *testing.T, env ...string) {
	t.Helper()
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}

func mustLoad(t *testing.T, file string, env ...string) *Config {
	t.Helper()
	setenv(t, env...)
	c, err := Load(module(t, map[string]string{FileName: file}))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// messages loads a file and returns what is wrong with it.
func messages(t *testing.T, file string, env ...string) []string {
	t.Helper()
	setenv(t, env...)
	c, err := Load(module(t, map[string]string{FileName: file}))
	if err == nil {
		return nil
	}
	if c != nil {
		t.Errorf("Load returned both a configuration and an error")
	}
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("error of Load is a %T, not Errors", err)
	}
	var texts []string
	for _, e := range errs {
		texts = append(texts, e.Error())
	}
	return texts
}

func TestDefaults(t *testing.T) {
	for _, dir := range []string{module(t, nil), module(t, map[string]string{FileName: ""})} {
		c, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Default(), c, values); diff != "" {
			t.Errorf("Load without configuration differs from Default (-want +got):\n%s", diff)
		}
	}
}

// TestExample holds distributed.toml at the root to its word: every key is
// there, with its default, and what is commented out is right too.
func TestExample(t *testing.T) {
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	c := mustLoad(t, text)
	if diff := cmp.Diff(Default(), c, values); diff != "" {
		t.Errorf("%s differs from Default (-want +got):\n%s", exampleFile, diff)
	}
	for _, f := range Default().fields() {
		if c.Source(f.key) == sourceDefault {
			t.Errorf("%s does not have %s", exampleFile, f.key)
		}
	}

	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "#"); ok && rest != "" && (rest[0] != ' ' || strings.HasPrefix(rest, "  ")) {
			line = rest
		}
		lines = append(lines, line)
	}
	c = mustLoad(t, strings.Join(lines, "\n"))
	if c.Programs["etcd"] == nil || c.Attach["staging"] == nil {
		t.Errorf("%s, uncommented, has programs %v and attached clusters %v, want etcd and staging", exampleFile, c.Programs, c.Attach)
	}
}

func TestLoadValues(t *testing.T) {
	tests := []struct {
		name string
		file string
		env  []string
		want func(c *Config) // changes the default
	}{
		{"a key", "[cluster]\nmax_nodes = 5", nil, func(c *Config) { c.Cluster.MaxNodes = 5 }},
		{"dotted keys", "cluster.max_nodes = 5\nci.max_nodes = 3", nil, func(c *Config) { c.Cluster.MaxNodes, c.CIConfig.MaxNodes = 5, 3 }},
		{"an inline table", "cluster = { max_nodes = 5 }", nil, func(c *Config) { c.Cluster.MaxNodes = 5 }},
		{"other notations", "[cluster]\nmax_nodes = 0x10\ndefault_nodes = +1\n'start_timeout' = '''1m'''\n[ci]\nmax_nodes=1_0", nil, func(c *Config) {
			c.Cluster.DefaultNodes, c.Cluster.StartTimeout, c.CIConfig.MaxNodes = 1, time.Minute, 10
		}},
		{"an integer as a number", "[ci]\ntimeout_factor = 3", nil, func(c *Config) { c.CIConfig.TimeoutFactor = 3 }},
		{"a BOM", "\ufeff[cluster]\nmax_nodes = 5", nil, func(c *Config) { c.Cluster.MaxNodes = 5 }},
		{"CRLF", "[cluster]\r\nmax_nodes = 5\r\nmode = \"off\"\r\n", nil, func(c *Config) { c.Cluster.MaxNodes, c.Cluster.Mode = 5, "off" }},
		{"bounds", "[cluster]\nmax_nodes = 4096\ndefault_nodes = 4096\nstart_timeout = '24h'\nstop_timeout = '1ms'", nil, func(c *Config) {
			c.Cluster.MaxNodes, c.Cluster.DefaultNodes = 4096, 4096
			c.Cluster.StartTimeout, c.Cluster.StopTimeout = 24*time.Hour, time.Millisecond
		}},
		{"environment over file", "[cluster]\nmax_nodes = 5\nmode = 'manual'", []string{"DIST_CLUSTER_MAX_NODES=6"}, func(c *Config) {
			c.Cluster.MaxNodes, c.Cluster.Mode = 6, "manual"
		}},
		{"environment alone", "", []string{"DIST_FALLBACK_REDUCE=false", "DIST_CI_TIMEOUT_FACTOR=1.5", "DIST_FALLBACK_BACKOFF=2s"}, func(c *Config) {
			c.Fallback.Reduce, c.CIConfig.TimeoutFactor, c.Fallback.Backoff = false, 1.5, 2*time.Second
		}},
		{"an empty variable", "[cluster]\nmode = 'off'", []string{"DIST_CLUSTER_MODE=", "DIST_CONFIG=", "DIST_CLUSTER_NONSENSE="}, func(c *Config) { c.Cluster.Mode = "off" }},
		{"the default size follows max_nodes", "[cluster]\nmax_nodes = 1", nil, func(c *Config) { c.Cluster.MaxNodes, c.Cluster.DefaultNodes = 1, 1 }},
		{"ranges", "[network]\nrange = '127.77.0.0/16'", nil, func(c *Config) { c.Network.Range = "127.77.0.0/16" }},
		{"ports of the host", "[network]\nhost_ports = [5432, 6_379]", nil, func(c *Config) { c.Network.HostPorts = []int{5432, 6379} }},
		{"a port of the host in a variable", "[network]\nhost_ports = [5432]", []string{"DIST_NETWORK_HOST_PORTS=6379"}, func(c *Config) { c.Network.HostPorts = []int{6379} }},
		{"no port of the host", "[network]\nhost_ports = [5432]", []string{"DIST_NETWORK_HOST_PORTS=[]"}, func(c *Config) { c.Network.HostPorts = []int{} }},
		{"a range of ports", "[network]\naddresses = 'ports'\nrange = '1024-65535'", nil, func(c *Config) { c.Network.Addresses, c.Network.Range = "ports", "1024-65535" }},
		{"reserved variables", "", []string{"DIST_NODE=x", "DIST_REAPER=x", "DIST_RUN_ID=x", "DIST_DEPTH=x", "DIST_REPORT=x", "DIST_OWNER=x", "DIST_COVERDIR=x", "DIST_DEBUG=x", "DIST_SEED=x"}, func(*Config) {}},
		{"other people's variables", "", []string{"DIST_DIR=/x", "DIST_VERSION=3", "DIST_CLUSTERS=1", "DISTDIR=1"}, func(*Config) {}},
		{"a suspicion is a warning", "", []string{"DIST_CLUSTR_MAX_NODES=3", "DIST_PROGRAM_ETCD_COMMAND=/x"}, func(c *Config) {
			c.Warnings = []string{
				"DIST_CLUSTR_MAX_NODES overrides no key; did you mean DIST_CLUSTER_MAX_NODES?",
				"DIST_PROGRAM_ETCD_COMMAND is for a program or cluster that is not configured here",
			}
		}},
		{"a program", `
			[program.etcd]
			package = "go.etcd.io/etcd/server/v3"
			args = ["--name={{.Name}}", "--listen={{.Listen \"client\"}}"]
			env = { ETCD_LOG_LEVEL = "warn" }
			ports = ["client", "peer"]
			ready = { http = "client", path = "/health", timeout = "15s" }
			stop = { signal = "SIGINT", grace = "5s" }
			reset = "none"`, nil, func(c *Config) {
			c.Programs["etcd"] = &Program{
				Name: "etcd", Package: "go.etcd.io/etcd/server/v3",
				Args:  []string{"--name={{.Name}}", `--listen={{.Listen "client"}}`},
				Env:   map[string]string{"ETCD_LOG_LEVEL": "warn"},
				Ports: []string{"client", "peer"},
				Ready: Ready{HTTP: "client", Path: "/health", Timeout: 15 * time.Second},
				Stop:  Stop{Signal: "SIGINT", Grace: 5 * time.Second},
				Reset: Reset{Mode: "none"},
			}
		}},
		{"a program of one line", "[program.x]\ncommand = ['x']", nil, func(c *Config) {
			c.Programs["x"] = &Program{Name: "x", Command: []string{"x"}, Stop: Stop{Signal: "SIGTERM"}, Reset: Reset{Mode: "restart"}}
		}},
		{"tables of a program", "[program.1-x]\ncommand = ['x', '-v']\nports = ['a']\nreset = ['x', 'wipe']\n[program.1-x.ready]\nhttp = 'a'\n[program.1-x.stop]\ngrace='1s'", nil, func(c *Config) {
			c.Programs["1-x"] = &Program{Name: "1-x", Command: []string{"x", "-v"}, Ports: []string{"a"}, Ready: Ready{HTTP: "a", Path: "/"},
				Stop: Stop{Signal: "SIGTERM", Grace: time.Second}, Reset: Reset{Mode: "exec", Exec: []string{"x", "wipe"}}}
		}},
		{"a program overridden", "[program.my-db]\npackage = './cmd/db'\nports = ['a', 'b']\nready = { http = 'a', path = '/up' }", []string{
			"DIST_PROGRAM_MY_DB_COMMAND=/opt/db", `DIST_PROGRAM_MY_DB_ARGS=["-v", '-x']`, "DIST_PROGRAM_MY_DB_READY_TCP=b",
			"DIST_PROGRAM_MY_DB_RESET=none", "DIST_PROGRAM_MY_DB_STOP_GRACE=3s", `DIST_PROGRAM_MY_DB_ENV={ A = "1" }`,
		}, func(c *Config) {
			c.Programs["my-db"] = &Program{Name: "my-db", Command: []string{"/opt/db"}, Args: []string{"-v", "-x"}, Env: map[string]string{"A": "1"},
				Ports: []string{"a", "b"}, Ready: Ready{TCP: "b"}, Stop: Stop{Signal: "SIGTERM", Grace: 3 * time.Second}, Reset: Reset{Mode: "none"}}
		}},
		{"a command replaced by a package", "[program.x]\ncommand = ['x']", []string{"DIST_PROGRAM_X_PACKAGE=./x", "DIST_PROGRAM_X_RESET=['x','y']"}, func(c *Config) {
			c.Programs["x"] = &Program{Name: "x", Package: "./x", Stop: Stop{Signal: "SIGTERM"}, Reset: Reset{Mode: "exec", Exec: []string{"x", "y"}}}
		}},
		{"an attached cluster", "[attach.staging]\nnodes = [{ a = 'h:1', b = '[::1]:2' }, { b = 'h:4', a = 'h:3' }]\nready.tcp = 'b'", nil, func(c *Config) {
			c.Attach["staging"] = &Attach{Name: "staging", Nodes: []map[string]string{{"a": "h:1", "b": "[::1]:2"}, {"a": "h:3", "b": "h:4"}}, Ready: Ready{TCP: "b"}}
		}},
		{"nodes as tables", "[[attach.s.nodes]]\na = 'h:1'\n[[attach.s.nodes]]\na = 'h:2'", nil, func(c *Config) {
			c.Attach["s"] = &Attach{Name: "s", Nodes: []map[string]string{{"a": "h:1"}, {"a": "h:2"}}}
		}},
		{"an attached cluster overridden", "[attach.s]\nnodes = [{ a = 'h:1' }]", []string{`DIST_ATTACH_S_NODES=[{ a = "h:7" }, { a = "h:8" }]`}, func(c *Config) {
			c.Attach["s"] = &Attach{Name: "s", Nodes: []map[string]string{{"a": "h:7"}, {"a": "h:8"}}}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := mustLoad(t, test.file, test.env...)
			want := Default()
			test.want(want)
			if diff := cmp.Diff(want, got, values); diff != "" {
				t.Errorf("Load (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	root := module(t, map[string]string{FileName: `
		[artifacts]
		dir = "../out"
		[program.x]
		command = ["./bin/x"]
		reset = ["bin/wipe", "./data"]
		ready = { exec = ["probe"] }
	`, "p/p.go": "package p\n"})
	c, err := Load(filepath.Join(root, "p"))
	if err != nil {
		t.Fatal(err)
	}
	x := c.Programs["x"]
	got := []string{c.Artifacts.Dir, x.Command[0], x.Reset.Exec[0], x.Reset.Exec[1], x.Ready.Exec[0]}
	want := []string{filepath.Join(filepath.Dir(root), "out"), filepath.Join(root, "bin/x"), filepath.Join(root, "bin/wipe"), "./data", "probe"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestWrongFile(t *testing.T) {
	program := func(lines string) string { return "[program.x]\ncommand = ['x']\nports = ['a', 'b']\n" + lines }
	tests := []struct {
		name string
		file string
		env  []string
		want []string
	}{
		{"unknown key", "[cluster]\nmax_node = 3", nil, []string{
			`distributed.toml:2:1: unknown key "max_node" in [cluster]; did you mean "max_nodes"?`}},
		{"spelt another way", "[cluster]\nMax-Nodes = 3", nil, []string{
			`distributed.toml:2:1: unknown key "Max-Nodes" in [cluster]; did you mean "max_nodes"?`}},
		{"key of another section", "[fallback]\nmax_nodes = 3", nil, []string{
			`distributed.toml:2:1: unknown key "max_nodes" in [fallback]; it belongs in [cluster] or [ci]`}},
		{"key of no section", "[resources]\nwhatever = 3", nil, []string{
			`distributed.toml:2:1: unknown key "whatever" in [resources]; known are max_nodes_on_machine`}},
		{"key outside", "max_nodes = 3\nwhatever = 4", nil, []string{
			`distributed.toml:1:1: key "max_nodes" outside of any section; it belongs in [cluster] or [ci]`,
			`distributed.toml:2:1: key "whatever" outside of any section; each key belongs in a section, such as [cluster]`}},
		{"unknown section", "[clusters]\n[ 'a\tb' ]", nil, []string{
			`distributed.toml:1:2: unknown section [clusters]; did you mean [cluster]?`,
			`distributed.toml:2:3: unknown section ["a\tb"]; known are cluster, fallback, ci, network, resources, artifacts, program, attach`}},
		{"unknown table", "[cluster.x]\n[program.x.y]\n[program.x]\ncommand = ['x']", nil, []string{
			`distributed.toml:1:10: unknown key "x" in [cluster]; known are mode, engine, default_nodes, max_nodes, reuse, short, start_timeout, stop_timeout`,
			`distributed.toml:2:12: unknown key "y" in [program.x]; known are package, command, args, env, ports, ready, stop, reset`}},
		{"section as a value", "cluster = 3\nprogram = 'x'", nil, []string{
			`distributed.toml:1:11: cluster is the integer 3; it must be a table: [cluster]`,
			`distributed.toml:2:11: program is the string "x"; write a section [program.NAME]`}},
		{"section as a list", "[[cluster]]\n[[program.x]]", nil, []string{
			`distributed.toml:1:3: cluster is a list; it must be a table: [cluster]`,
			`distributed.toml:2:11: program.x is a list; write a section [program.NAME] for each, with its name`}},
		{"key of program without a name", "[program]\ncommand = ['x']", nil, []string{
			`distributed.toml:2:1: program.command is a list; write a section [program.NAME] for each, with its name`}},

		{"no nodes", "[cluster]\nmax_nodes = 0", nil, []string{
			`distributed.toml:2:13: cluster.max_nodes is 0; it must be an integer from 1 to 4096`}},
		{"too many nodes", "[cluster]\nmax_nodes = 100000", nil, []string{
			`distributed.toml:2:13: cluster.max_nodes is 100000; it must be an integer from 1 to 4096`}},
		{"negative", "[fallback]\nretries = -1\nbackoff = '-1s'", nil, []string{
			`distributed.toml:2:11: fallback.retries is -1; it must be an integer from 0 to 100`,
			`distributed.toml:3:11: fallback.backoff is "-1s"; it must be a duration from 1ms to 1h`}},
		{"wrong types", "[cluster]\nmax_nodes = '3'\nmode = true\nstart_timeout = ['1s']\n[fallback]\nreduce = 'yes'\nretries = 1.5\nbackoff = 1979-05-27\n[ci]\nmax_nodes = {}\ntimeout_factor = '2'", nil, []string{
			`distributed.toml:2:13: cluster.max_nodes is the string "3"; it must be an integer from 1 to 4096, without quotes`,
			`distributed.toml:3:8: cluster.mode is true; it must be "auto", "manual" or "off"`,
			`distributed.toml:4:17: cluster.start_timeout is a list; it must be a duration from 1ms to 24h`,
			`distributed.toml:6:10: fallback.reduce is the string "yes"; it must be true or false`,
			`distributed.toml:7:11: fallback.retries is the number 1.5; it must be an integer from 0 to 100`,
			`distributed.toml:8:11: fallback.backoff is the time 1979-05-27; it must be a duration from 1ms to 1h`,
			`distributed.toml:10:13: ci.max_nodes is a table; it must be an integer from 1 to 4096`,
			`distributed.toml:11:18: ci.timeout_factor is the string "2"; it must be a number from 0.1 to 100`}},
		{"enumerations", "[cluster]\nmode = 'atuo'\nshort = 'stop'\n[network]\naddresses = 'per_node'\nfaults = 'whatever'", nil, []string{
			`distributed.toml:2:8: cluster.mode is "atuo"; did you mean "auto"? it must be "auto", "manual" or "off"`,
			`distributed.toml:3:9: cluster.short is "stop"; did you mean "skip"? it must be "run" or "skip"`,
			`distributed.toml:5:13: network.addresses is "per_node"; did you mean "per-node"? it must be "auto", "per-node" or "ports"`,
			`distributed.toml:6:10: network.faults is "whatever"; it must be "auto", "namespaces" or "links"`}},
		{"durations", "[cluster]\nstart_timeout = 30\nstop_timeout = '30'\n[fallback]\nbackoff = '1 s'\n[program.x]\ncommand=['x']\nstop = { grace = '0s' }\nready.timeout = 1.5", nil, []string{
			`distributed.toml:2:17: cluster.start_timeout is the integer 30, which has no unit; write a duration, such as "30s"`,
			`distributed.toml:3:16: cluster.stop_timeout is "30", which has no unit; write a duration, such as "30s"`,
			`distributed.toml:5:11: fallback.backoff is "1 s"; it must be a duration from 1ms to 1h, such as "1.5s" or "2m30s"`,
			`distributed.toml:8:18: program.x.stop.grace is "0s"; it must be a duration from 1ms to 24h`,
			`distributed.toml:9:17: program.x.ready.timeout is the number 1.5, which has no unit; write a duration, such as "1.5s"`}},
		{"overflow", "[cluster]\nstart_timeout = '99999999h'\n[ci]\ntimeout_factor = 1e400", nil, []string{
			`distributed.toml:4:18: *`}},
		{"overflow of an integer", "[cluster]\nmax_nodes = 99999999999999999999", nil, []string{
			`distributed.toml:2:13: *`}},
		{"overflow of a duration", "[cluster]\nstart_timeout = '99999999h'", nil, []string{
			`distributed.toml:2:17: cluster.start_timeout is "99999999h"; it must be a duration from 1ms to 24h, such as "1.5s" or "2m30s"`}},
		{"no number", "[ci]\ntimeout_factor = nan", nil, []string{
			`distributed.toml:2:18: ci.timeout_factor is nan; it must be a number from 0.1 to 100`}},
		{"infinite", "[ci]\ntimeout_factor = inf", nil, []string{
			`distributed.toml:2:18: ci.timeout_factor is inf; it must be a number from 0.1 to 100`}},
		{"default above max", "[cluster]\ndefault_nodes = 5\nmax_nodes = 3", nil, []string{
			`distributed.toml:2:17: cluster.default_nodes is 5, more than cluster.max_nodes = 3 (distributed.toml:3); lower it, or raise cluster.max_nodes`}},
		{"default above a variable", "[cluster]\ndefault_nodes = 5", []string{"DIST_CLUSTER_MAX_NODES=3"}, []string{
			`distributed.toml:2:17: cluster.default_nodes is 5, more than DIST_CLUSTER_MAX_NODES=3; lower it, or raise cluster.max_nodes`}},

		{"ranges", "[network]\nrange = '10.0.0.0/8'", nil, []string{
			`distributed.toml:2:9: network.range is "10.0.0.0/8", which is not inside 127.0.0.0/8; it must be "", a CIDR inside 127.0.0.0/8, or ports such as "20000-21000"`}},
		{"range too wide", "[network]\nrange = '126.0.0.0/7'", nil, []string{
			`distributed.toml:2:9: network.range is "126.0.0.0/7", which is not inside 127.0.0.0/8; it must be "", a CIDR inside 127.0.0.0/8, or ports such as "20000-21000"`}},
		{"range with host bits", "[network]\nrange = '127.7.0.1/16'", nil, []string{
			`distributed.toml:2:9: network.range is "127.7.0.1/16", which has bits of an address beyond its length; write "127.7.0.0/16"`}},
		{"range of others", "[network]\nrange = '127.0.1.128/25'", nil, []string{
			`distributed.toml:2:9: network.range is "127.0.1.128/25", which is wholly inside 127.0.1.0/24, which others use; choose another, such as "127.77.0.0/16"`}},
		{"range upside down", "[network]\nrange = '21000-20000'", nil, []string{
			`distributed.toml:2:9: network.range is "21000-20000", which begins above its end; write "20000-21000"`}},
		{"range of no ports", "[network]\nrange = '80-99999999999999999999'", nil, []string{
			`distributed.toml:2:9: network.range is "80-99999999999999999999", which is outside the ports from 1024 to 65535; it must be "", a CIDR inside 127.0.0.0/8, or ports such as "20000-21000"`}},
		{"range of nothing", "[network]\nrange = 'lo'", nil, []string{
			`distributed.toml:2:9: network.range is "lo", which is neither a CIDR nor a range of ports; it must be "", a CIDR inside 127.0.0.0/8, or ports such as "20000-21000"`}},
		{"range against addresses", "[network]\naddresses = 'ports'\nrange = '127.7.0.0/16'", nil, []string{
			`distributed.toml:3:9: network.range is "127.7.0.0/16", not a range of ports, where network.addresses = "ports" (distributed.toml:2); write one such as "20000-21000"`}},
		{"addresses against range", "[network]\nrange = '20000-21000'", []string{"DIST_NETWORK_ADDRESSES=per-node"}, []string{
			`distributed.toml:2:9: network.range is "20000-21000", a range of ports, where DIST_NETWORK_ADDRESSES=per-node; write a CIDR such as "127.77.0.0/16"`}},
		{"ports of the host", "[network]\nhost_ports = [5432, 0, '6379', 70000, 5432]", nil, []string{
			`distributed.toml:2:21: network.host_ports has an element 2 that is 0; it must be an integer from 1 to 65535`,
			`distributed.toml:2:24: network.host_ports has an element 3 that is the string "6379"; it must be an integer from 1 to 65535, without quotes`,
			`distributed.toml:2:32: network.host_ports has an element 4 that is 70000; it must be an integer from 1 to 65535`,
			`distributed.toml:2:39: network.host_ports has 5432 as element 1 and as element 5; remove one`}},
		{"one port of the host", "[network]\nhost_ports = 5432", nil, []string{
			`distributed.toml:2:14: network.host_ports is 5432; it must be a list of ports from 1 to 65535: [5432]`}},
		{"ports of the host as text", "[network]\nhost_ports = '5432'", nil, []string{
			`distributed.toml:2:14: network.host_ports is the string "5432"; it must be a list of ports from 1 to 65535`}},
		{"a port of the host in a variable", "", []string{"DIST_NETWORK_HOST_PORTS=postgres"}, []string{
			`DIST_NETWORK_HOST_PORTS is "postgres"; it must be a list of ports from 1 to 65535, or one of them`}},
		{"ports of the host in a variable", "", []string{"DIST_NETWORK_HOST_PORTS=[1, 1]"}, []string{
			`DIST_NETWORK_HOST_PORTS has 1 as element 1 and as element 2; remove one`}},

		{"program with nothing", "[program.x]", nil, []string{
			`distributed.toml:1:10: program.x has neither package nor command; add package = "./cmd/server" for a program to build, or command = ["server"] for one that is there`}},
		{"program with both", "[program.x]\npackage = './x'\ncommand = ['x']", nil, []string{
			`distributed.toml:3:11: program.x.command is given besides package; keep one of the two`}},
		{"no second message for a misspelt key", "[program.x]\npackages = './x'", nil, []string{
			`distributed.toml:2:1: unknown key "packages" in [program.x]; did you mean "package"?`}},
		{"name of a program", "[program.'a b']\n[program.-x]\n[attach.ä]", nil, []string{"distributed.toml:3:9: *"}},
		{"names of programs", "[program.'a b']\n[program.-x]\n[attach.'']", nil, []string{
			`distributed.toml:1:10: "a b" in [program.NAME] is not a name; begin with a letter or a digit; go on with letters, digits, - and _, 64 characters at most`,
			`distributed.toml:2:10: "-x" in [program.NAME] is not a name; begin with a letter or a digit; go on with letters, digits, - and _, 64 characters at most`,
			`distributed.toml:3:9: "" in [attach.NAME] is not a name; begin with a letter or a digit; go on with letters, digits, - and _, 64 characters at most`}},
		{"names that share variables", "[program.a-b]\ncommand=['x']\n[program.A_B]\ncommand=['x']", nil, []string{
			`distributed.toml:1:10: program.a-b differs from program.A_B only in case, - or _; rename one: their variables, DIST_PROGRAM_A_B_…, would be the same`}},
		{"a name twice", "[program.x]\ncommand=['x']\n[attach.x]\nnodes=[{a='h:1'}]", nil, []string{
			`distributed.toml:3:9: attach.x has the name of a program too; rename one: program=x would mean both`}},
		{"packages", "[program.a]\npackage = './...'\n[program.b]\npackage = '/abs'\n[program.c]\npackage = 'a b'\n[program.d]\npackage='x.io/y@v1'\n[program.e]\npackage='./main.go'", nil, []string{
			`distributed.toml:2:11: program.a.package is "./...", which is a pattern; name one main package`,
			`distributed.toml:4:11: program.b.package is "/abs", which is not an import path; write one such as example.com/mod/cmd/server, or ./cmd/server, relative to distributed.toml`,
			`distributed.toml:6:11: program.c.package is "a b", which is not an import path; write one such as example.com/mod/cmd/server, or ./cmd/server, relative to distributed.toml`,
			`distributed.toml:8:9: program.d.package is "x.io/y@v1", which names a version; go.mod names the version: go get "x.io/y@v1"`,
			`distributed.toml:10:9: program.e.package is "./main.go", which is a file; name a package, such as ./cmd/server`}},
		{"commands", "[program.a]\ncommand = 'x -v'\n[program.b]\ncommand = []\n[program.c]\ncommand = ['x', '']\nargs = [1, '{{.Name', \"a\\u0000\"]", nil, []string{
			`distributed.toml:2:11: program.a.command is the string "x -v"; it must be a command as a list of strings: ["x -v"]`,
			`distributed.toml:4:11: program.b.command is empty; it must be a command as a list of strings`,
			`distributed.toml:6:17: program.c.command has "" as element 2, which is empty; write each word of the command as a string of its own`,
			`distributed.toml:7:9: program.c.args has the integer 1 as element 1; it must be a list of strings`,
			`distributed.toml:7:23: program.c.args has "a\x00" as element 3, which contains a NUL character; remove it`}},
		{"env", program("env = { 'A=B' = 'x', C = 1, D = '{{', DIST_NODE = 'x' }"), nil, []string{
			`distributed.toml:4:9: program.x.env has "A=B" as a name, which is not the name of a variable; write one such as LOG_LEVEL`,
			`distributed.toml:4:26: program.x.env has the integer 1 as the value of C; write it as a string`,
			`distributed.toml:4:39: program.x.env has "DIST_NODE" as a name, which is the name of a variable of dist's own; choose another name`}},
		{"ports", "[program.x]\ncommand = ['x']\nports = ['a', '1', 'a']\n[program.y]\ncommand = ['x']\nports = ['a', 'a']", nil, []string{
			`distributed.toml:3:15: program.x.ports has "1" as element 2, which is not the name of a port; begin with a letter; go on with letters, digits, - and _, 64 characters at most`,
			`distributed.toml:6:9: program.y.ports has "a" twice; remove one`}},
		{"undeclared ports", "[program.x]\ncommand = ['x']\nports = ['client']\nargs = ['{{.Listen \"clent\"}}', '{{ .Name }}{{join (.Addrs `peer`) \",\"}}']\nready.tcp = 'cleint'", nil, []string{
			`distributed.toml:4:12: program.x.args names the port "clent", which is not declared; did you mean "client"? ports has client`,
			`distributed.toml:4:52: program.x.args names the port "peer", which is not declared; ports has client`,
			`distributed.toml:5:13: program.x.ready.tcp names the port "cleint", which is not declared; did you mean "client"? ports has client`}},
		{"no ports at all", "[program.x]\ncommand = ['x', '{{.Addr \"a\"}}']", nil, []string{
			`distributed.toml:2:20: program.x.command names the port "a", which is not declared; add it to ports`}},
		{"two kinds of readiness", program("ready = { http = 'a', tcp = 'b', exec = ['x'] }"), nil, []string{
			`distributed.toml:4:29: program.x.ready.tcp is given besides http and exec; keep one of http, tcp, log, exec and grpc`}},
		{"two kinds of readiness in variables", program("ready = { log = 'x' }"), []string{"DIST_PROGRAM_X_READY_TCP=a", "DIST_PROGRAM_X_READY_GRPC=b"}, []string{
			`DIST_PROGRAM_X_READY_GRPC is given besides tcp; keep one of http, tcp, log, exec and grpc`}},
		{"path without http", program("ready = { tcp = 'a', path = '/x' }"), nil, []string{
			`distributed.toml:4:29: program.x.ready.path is given without http; add http = "PORT", or remove path`}},
		{"paths", program("ready = { http = 'a', path = 'x' }\n[program.y]\ncommand=['y']\nready.path='/a b'"), nil, []string{
			`distributed.toml:4:30: program.x.ready.path is "x", which does not begin with a slash; write "/x"`,
			`distributed.toml:7:12: program.y.ready.path is "/a b", which contains a space or a control character; escape it, as in %20`}},
		{"regular expressions", program("ready.log = '('\n[program.y]\ncommand=['y']\nready.log=''"), nil, []string{
			`distributed.toml:4:13: program.x.ready.log is "(", which is not a regular expression: missing closing ); see go doc regexp/syntax`,
			`distributed.toml:7:11: program.y.ready.log is "", which matches everything; name what the program prints when it is ready`}},
		{"ready as a value", program("ready = 'a'"), nil, []string{
			`distributed.toml:4:9: program.x.ready is the string "a"; it must be a table: ready = { … }`}},
		{"stop", program("stop = { signal = 'TERM', after = '1s' }"), nil, []string{
			`distributed.toml:4:19: program.x.stop.signal is "TERM"; *`,
			`distributed.toml:4:27: unknown key "after" in [program.x.stop]; known are signal, grace`}},
		{"reset", program("reset = 'restrat'\n[program.y]\ncommand=['y']\nreset=[]\n[program.z]\ncommand=['z']\nreset=true"), nil, []string{
			`distributed.toml:4:9: program.x.reset is "restrat"; did you mean "restart"? it must be "restart", "none" or a command as a list of strings`,
			`distributed.toml:7:7: program.y.reset is empty; it must be "restart", "none" or a command as a list of strings`,
			`distributed.toml:10:7: program.z.reset is true; it must be "restart", "none" or a command as a list of strings`}},

		{"attach without nodes", "[attach.s]\n[attach.t]\nnodes = []\n[attach.u]\nnodes = 'h:1'", nil, []string{
			`distributed.toml:1:9: attach.s has no nodes; add nodes = [{ client = "host:2379" }], one table for each`,
			`distributed.toml:3:9: attach.t.nodes has 0 elements; it must be a list of 1 to 4096 nodes, each a table from port names to addresses: [{ client = "host:2379" }]`,
			`distributed.toml:5:9: attach.u.nodes is the string "h:1"; it must be a list of 1 to 4096 nodes, each a table from port names to addresses: [{ client = "host:2379" }]`}},
		{"nodes", "[attach.s]\nnodes = [\n 'h:1',\n {},\n { 1 = 'h:1', a = 3, b = 'h', c = 'h:x', d = 'http://h:1', e = ':1', f = 'h:0' },\n { a = 'h:9', b = 'h:9' },\n]", nil, []string{
			`distributed.toml:3:2: attach.s.nodes has the string "h:1" as element 1; *`,
			`distributed.toml:4:2: attach.s.nodes has an empty table as element 2; *`,
			`distributed.toml:5:4: attach.s.nodes has "1" as a key, which is not the name of a port; *`,
			`distributed.toml:5:19: attach.s.nodes has the integer 3 as the address of a; write a string, "host:port"`,
			`distributed.toml:5:26: attach.s.nodes has "h" as the address of b, which is not host:port; write one such as "db-1.internal:2379" or "[::1]:2379"`,
			`distributed.toml:5:35: attach.s.nodes has "h:x" as the address of c, which has no port from 1 to 65535; write the port as a number`,
			`distributed.toml:5:46: attach.s.nodes has "http://h:1" as the address of d, which is not host:port; *`,
			`distributed.toml:5:64: attach.s.nodes has ":1" as the address of e, which is not host:port; *`,
			`distributed.toml:5:74: attach.s.nodes has "h:0" as the address of f, which has no port from 1 to 65535; write the port as a number`,
			`distributed.toml:6:19: attach.s.nodes has "h:9" in element 4 and in element 4; give each port of each node its own address`}},
		{"ports of nodes", "[attach.s]\nnodes = [{ a = 'h:1' }, { b = 'h:2' }]", nil, []string{
			`distributed.toml:2:25: attach.s.nodes has the port a in element 1 and not in element 2; name the same ports for every node`,
			`distributed.toml:2:27: attach.s.nodes has the port b in element 2 and not in element 1; name the same ports for every node`}},
		{"ready of an attached cluster", "[attach.s]\nnodes = [{ a = 'h:1' }]\nready = { log = 'x' }\n[attach.t]\nnodes = [{ a = 'h:1' }]\nready = { tcp = 'b' }", nil, []string{
			`distributed.toml:3:11: unknown key "log" in [attach.s.ready]; known are http, path, tcp, exec, grpc, timeout`,
			`distributed.toml:6:17: attach.t.ready.tcp names the port "b", which is not declared; *`}},

		{"syntax", "[cluster]\nmax_nodes 3", nil, []string{`distributed.toml:2:11: expected '=' after key`}},
		{"unclosed", "[cluster\nx = 1", nil, []string{`distributed.toml:1:9: expected ']' to close table name`}},
		{"a key twice", "[cluster]\nmode = 'off'\nmode = 'auto'", nil, []string{`distributed.toml:3:1: *`}},
		{"a section twice", "[cluster]\nmode = 'off'\n[ci]\n[cluster]", nil, []string{`distributed.toml:4:2: *`}},
		{"not UTF-8", "[cluster]\nmode = '\xff'", nil, []string{`distributed.toml:2:9: *`}},
		{"old line ends", "[cluster]\rmode = 'off'", nil, []string{`distributed.toml:1:10: *`}},
		{"UTF-16", "\xff\xfe[\x00c\x00", nil, []string{`distributed.toml:1:1: the file is UTF-16; save it as UTF-8`}},
		{"too large", strings.Repeat("# nothing\n", maxFileSize/10+1), nil, []string{
			`distributed.toml: is larger than 1048576 bytes; keep nothing but configuration in it`}},

		{"variables", "[cluster]\nmode = 'x'", []string{
			"DIST_CLUSTER_MAX_NODES=three", "DIST_CLUSTER_START_TIMEOUT=30", "DIST_FALLBACK_REDUCE=maybe", "DIST_CI_TIMEOUT_FACTOR=NaN",
			"DIST_CLUSTER_MODE=atuo", "DIST_NETWORK_RANGE=x", "DIST_ARTIFACTS_DIR=out",
		}, []string{
			`distributed.toml:2:8: cluster.mode is "x"; it must be "auto", "manual" or "off"`,
			`DIST_CLUSTER_MODE is "atuo"; did you mean "auto"? it must be "auto", "manual" or "off"`,
			`DIST_CLUSTER_MAX_NODES is "three"; it must be an integer from 1 to 4096`,
			`DIST_CLUSTER_START_TIMEOUT is "30", which has no unit; write a duration, such as "30s"`,
			`DIST_FALLBACK_REDUCE is "maybe"; it must be true or false`,
			`DIST_CI_TIMEOUT_FACTOR is "NaN"; it must be a number from 0.1 to 100`,
			`DIST_NETWORK_RANGE is "x", which is neither a CIDR nor a range of ports; *`,
			`DIST_ARTIFACTS_DIR has the relative path "out"; make it absolute: each package's tests run in a directory of their own`}},
		{"variables of no key", program(""), []string{"DIST_CLUSTER_MAX_NODE=3", "DIST_CI_WHATEVER=1", "DIST_PROGRAM_X_COMAND=/x"}, []string{
			`DIST_CI_WHATEVER overrides no key; known are DIST_CI_MAX_NODES, DIST_CI_TIMEOUT_FACTOR, DIST_CI_UNAVAILABLE`,
			`DIST_CLUSTER_MAX_NODE overrides no key; did you mean DIST_CLUSTER_MAX_NODES?`,
			`DIST_PROGRAM_X_COMAND overrides no key; did you mean DIST_PROGRAM_X_COMMAND?`}},
		{"variables of a program", program(""), []string{
			"DIST_PROGRAM_X_COMMAND=bin/x", "DIST_PROGRAM_X_ARGS=['a", "DIST_PROGRAM_X_ENV=A=1", "DIST_PROGRAM_X_PORTS=a,b", "DIST_PROGRAM_X_RESET=['x']\ny=1",
		}, []string{
			`DIST_PROGRAM_X_ARGS is "['a"; it must be a list of strings, written as in distributed.toml`,
			`DIST_PROGRAM_X_ENV is "A=1"; it must be a table of strings, written as in distributed.toml`,
			`DIST_PROGRAM_X_PORTS has "a,b" as element 1, which is not the name of a port; *`,
			`DIST_PROGRAM_X_RESET is "['x']\ny=1"; it must be "restart", "none" or a command as a list of strings, written as in distributed.toml`}},
		{"a relative command in a variable", program(""), []string{"DIST_PROGRAM_X_COMMAND=bin/x"}, []string{
			`DIST_PROGRAM_X_COMMAND has the relative path "bin/x"; make it absolute: each package's tests run in a directory of their own`}},
		{"package and command in variables", program(""), []string{"DIST_PROGRAM_X_COMMAND=x", "DIST_PROGRAM_X_PACKAGE=./x"}, []string{
			`DIST_PROGRAM_X_COMMAND is given besides package; keep one of the two`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := messages(t, test.file, test.env...)
			// A star at the end stands for text that is TOML's, or told elsewhere.
			for i := range min(len(got), len(test.want)) {
				if begin, ok := strings.CutSuffix(test.want[i], "*"); ok && strings.HasPrefix(got[i], begin) {
					got[i] = test.want[i]
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	const five, six = "[cluster]\nmax_nodes = 5", "[cluster]\nmax_nodes = 6"
	tests := []struct {
		name   string
		files  map[string]string
		dir    string
		env    string // DIST_CONFIG
		expect string
		want   string // Source of cluster.max_nodes, or the error
	}{
		{"none", nil, "p/q", "", "", "default"},
		{"at the root", map[string]string{FileName: five}, "p/q", "", "", "distributed.toml:2"},
		{"at the root, expected", map[string]string{FileName: five}, "p/q", "", "../../distributed.toml", "distributed.toml:2"},
		{"the nearest", map[string]string{FileName: five, "p/distributed.toml": six}, "p/q", "", "", "p/distributed.toml:2"},
		{"in the package", map[string]string{FileName: five, "p/distributed.toml": six}, "p", "", "", "p/distributed.toml:2"},
		{"not below", map[string]string{"p/distributed.toml": six}, ".", "", "", "default"},
		{"not beyond the module", map[string]string{FileName: five, "p/go.mod": "module p"}, "p/q", "", "", "default"},
		{"named, relative", map[string]string{FileName: five, "other.toml": six}, "p/q", "../../other.toml", "", "../../other.toml:2"},
		{"named, expected", map[string]string{"other.toml": six}, ".", "other.toml", "distributed.toml", "other.toml:2"},
		{"named and missing", map[string]string{FileName: five}, ".", "other.toml", "",
			"DIST_CONFIG names other.toml, which cannot be read: no such file or directory; name a file, absolute or relative to the package's directory, or unset it"},
		{"named, a directory", map[string]string{"p/x": ""}, ".", "p", "", "p: is not a regular file; put a file there, or name another with DIST_CONFIG"},
		{"named, nothing", map[string]string{FileName: five}, ".", os.DevNull, "distributed.toml", "default"},
		{"expected and missing", nil, "p/q", "", "../../distributed.toml",
			"../../distributed.toml, which was there when the bootstrap was generated, is missing (looked in ROOT/p/q and above); " +
				"run the test binary in its package's directory, or name the file with DIST_CONFIG (DIST_CONFIG=/dev/null for the defaults); if the file was removed for good, run go generate again"},
		{"a directory", map[string]string{"distributed.toml/x": ""}, ".", "", "", "distributed.toml: is not a regular file; put a file there, or name another with DIST_CONFIG"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := module(t, test.files)
			dir := filepath.Join(root, test.dir)
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if test.env != "" {
				t.Setenv("DIST_CONFIG", test.env)
			}
			var got string
			if c, err := Load(dir, Expect(test.expect)); err != nil {
				got = strings.ReplaceAll(err.Error(), root, "ROOT")
			} else {
				got = c.Source("cluster.max_nodes")
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestFindRelative(t *testing.T) {
	root := module(t, map[string]string{FileName: "[cluster]\nmax_nodes = 5", "p/x": ""})
	t.Chdir(filepath.Join(root, "p"))
	c, err := Load(".")
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster.MaxNodes != 5 || !filepath.IsAbs(c.File) {
		t.Errorf("Load(%q) read %q and has MaxNodes %d, want an absolute path and 5", ".", c.File, c.Cluster.MaxNodes)
	}
}

func TestErrorFields(t *testing.T) {
	root := module(t, map[string]string{FileName: "[cluster]\nmode = 'x'"})
	t.Setenv("DIST_CLUSTER_MAX_NODES", "0")
	_, err := Load(root)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("errors.As finds no *Error in %T", err)
	}
	var errs Errors
	errors.As(err, &errs)
	want := Errors{
		{File: FileName, Path: filepath.Join(root, FileName), Line: 2, Column: 8, Key: "cluster.mode",
			Problem: `cluster.mode is "x"`, Remedy: `it must be "auto", "manual" or "off"`},
		{Key: "cluster.max_nodes", Env: "DIST_CLUSTER_MAX_NODES",
			Problem: `DIST_CLUSTER_MAX_NODES is "0"`, Remedy: "it must be an integer from 1 to 4096"},
	}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}
