package config

import "time"

// A Program is a [program.NAME] section: what the nodes of such a cluster run.
// Command, Args, the values of Env and the elements of Ready.Exec and Reset.Exec
// are Go templates over the node and its cluster, see Expand.
type Program struct {
	Name    string            `toml:"-"`
	Package string            `toml:"package"` // to build; "./…" is relative to the directory of Config.File. Exactly one of Package and Command is set
	Command []string          `toml:"command"` // the executable, a name for PATH or an absolute path, and what comes before Args
	Args    []string          `toml:"args"`
	Env     map[string]string `toml:"env"`   // added to the environment of the test
	Ports   []string          `toml:"ports"` // names, in the order given
	Ready   Ready             `toml:"ready"`
	Stop    Stop              `toml:"stop"`
	Reset   Reset             `toml:"reset"`
}

// Ready says how to tell that a node is ready. At most one of HTTP, TCP, Log,
// Exec and GRPC is set; if none is, a node is ready once each of its ports
// accepts a connection, or as soon as it runs if it has no ports.
type Ready struct {
	HTTP    string        `toml:"http"`    // port on which GET Path answers with a status of 2xx
	Path    string        `toml:"path"`    // "/" if HTTP is set and nothing else was said
	TCP     string        `toml:"tcp"`     // port that accepts a connection
	Log     string        `toml:"log"`     // regular expression that matches a line of output
	Exec    []string      `toml:"exec"`    // command that exits with status 0
	GRPC    string        `toml:"grpc"`    // port whose grpc.health.v1 says SERVING
	Timeout time.Duration `toml:"timeout"` // 0: the start timeout in force
}

// Stop says how a node is asked to end, and how long it may take.
type Stop struct {
	Signal string        `toml:"signal"` // "SIGTERM"
	Grace  time.Duration `toml:"grace"`  // until SIGKILL; 0: the stop timeout in force
}

// Reset says how the data of a program's cluster become fresh before an
// exclusive lease.
type Reset struct {
	Mode string   // restart | none | exec
	Exec []string // the command, if Mode is exec
}

// Attach is an [attach.NAME] section: a cluster that runs already. It is
// leased, and never started, stopped or reset.
type Attach struct {
	Name  string              `toml:"-"`
	Nodes []map[string]string `toml:"nodes"` // by index; from the name of a port to its host:port
	Ready Ready               `toml:"ready"` // as for a program, without Log
}

func defaultProgram(name string) *Program {
	return &Program{
		Name:  name,
		Stop:  Stop{Signal: "SIGTERM"},
		Reset: Reset{Mode: "restart"},
	}
}
