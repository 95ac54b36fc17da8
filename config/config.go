package config

import "time"

// A Config is distributed.toml after defaults and environment have been
// applied: what the runtime goes by. Fields hold what was configured; where CI
// changes what is in force, ask the methods ([Config.MaxNodes],
// [Config.StartTimeout], [Config.StopTimeout], [Config.Unavailable]). The zero
// value is not useful; see Default and Load.
type Config struct {
	File string // the file it was read from, absolute; "" if there was none
	CI   string // the CI service detected, "GitHub Actions"; "" if none

	Cluster   Cluster             `toml:"cluster"`
	Fallback  Fallback            `toml:"fallback"`
	CIConfig  CI                  `toml:"ci"`
	Network   Network             `toml:"network"`
	Resources Resources           `toml:"resources"`
	Artifacts Artifacts           `toml:"artifacts"`
	Programs  map[string]*Program `toml:"program"`
	Attach    map[string]*Attach  `toml:"attach"`

	// Warnings are findings that are no reason to stop: variables that look
	// like a misspelt override, or that name a program this file does not have.
	Warnings []string `toml:"-"`

	display string            // how diagnoses name the file
	sources map[string]source // of each key that was set, by its full name
}

// Cluster is the [cluster] section.
type Cluster struct {
	Mode         string        `toml:"mode"`   // auto | manual | off
	Engine       string        `toml:"engine"` // process
	DefaultNodes int           `toml:"default_nodes"`
	MaxNodes     int           `toml:"max_nodes"`
	Reuse        string        `toml:"reuse"` // auto | always | never
	Short        string        `toml:"short"` // run | skip
	StartTimeout time.Duration `toml:"start_timeout"`
	StopTimeout  time.Duration `toml:"stop_timeout"`
}

// Fallback is the [fallback] section.
type Fallback struct {
	Retries     int           `toml:"retries"`
	Backoff     time.Duration `toml:"backoff"`
	Reduce      bool          `toml:"reduce"`
	Unavailable string        `toml:"unavailable"` // fail | skip
}

// CI is the [ci] section: in force where CI is detected.
type CI struct {
	MaxNodes      int     `toml:"max_nodes"`
	TimeoutFactor float64 `toml:"timeout_factor"`
	Unavailable   string  `toml:"unavailable"` // fail | skip
}

// Network is the [network] section.
type Network struct {
	Addresses string `toml:"addresses"`                    // auto | per-node | ports
	Range     string `toml:"range"`                        // a CIDR inside 127.0.0.0/8, or ports as "20000-21000"; "": chosen
	Faults    string `toml:"faults"`                       // auto | namespaces | links
	HostPorts []int  `toml:"host_ports" json:"-" cbor:"-"` // of 127.0.0.1, that nodes in namespaces reach; those of other processes' clusters never are
}

// Resources is the [resources] section.
type Resources struct {
	MaxNodesOnMachine int `toml:"max_nodes_on_machine"` // 0: from the machine
}

// Artifacts is the [artifacts] section.
type Artifacts struct {
	Dir  string `toml:"dir"`  // absolute; "": the user's cache directory
	Keep string `toml:"keep"` // never | failed | always
	Dirs bool   `toml:"dirs"` // those of nodes, too
}

// Default returns the configuration of a module without a distributed.toml,
// outside CI, with nothing in the environment.
func Default() *Config {
	return &Config{
		Cluster: Cluster{
			Mode:         "auto",
			Engine:       "process",
			DefaultNodes: 2,
			MaxNodes:     16,
			Reuse:        "auto",
			Short:        "run",
			StartTimeout: 30 * time.Second,
			StopTimeout:  10 * time.Second,
		},
		Fallback: Fallback{
			Retries:     3,
			Backoff:     100 * time.Millisecond,
			Reduce:      true,
			Unavailable: "fail",
		},
		CIConfig: CI{
			MaxNodes:      8,
			TimeoutFactor: 2,
			Unavailable:   "fail",
		},
		Network: Network{
			Addresses: "auto",
			Faults:    "auto",
		},
		Artifacts: Artifacts{
			Keep: "failed",
		},
		Programs: map[string]*Program{},
		Attach:   map[string]*Attach{},
	}
}
