package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/program"
)

// EnvOwner names the registry file of the owner that a run's test binaries
// lease from, for whoever runs them (dist test) to set.
const EnvOwner = "DIST_OWNER"

// An Owner leases clusters of programs.
type Owner interface {
	// Lease waits for its turn and until the cluster is ready. Its error is a
	// *diagnostics.Diagnosis or an *engine.Error, unless ctx ended.
	Lease(ctx context.Context, a Ask) (Lease, error)
}

// A Lease is somebody's hold on a cluster. Other than Info, its methods may be
// called at any time and from any goroutine; after Release they fail.
type Lease interface {
	// Info is the cluster as it was when the lease began.
	Info() Info
	// State is what a node is doing now.
	State(ctx context.Context, node int) (State, error)
	// Act does something to a node and returns when it is done.
	Act(ctx context.Context, node int, a Action) (State, error)
	// RestartAs has a node run another program from now on, until the lease ends:
	// it is Restart with the Program of an Ask, of which only that and Dir, Ready
	// and Grace are looked at. It returns what the program is made of, too.
	RestartAs(ctx context.Context, node int, a Ask) (State, []string, error)
	// Health tries every node once and returns what is wrong by node, nil where
	// nothing is.
	Health(ctx context.Context) ([]error, error)
	// Release ends the lease and says what went wrong on the nodes meanwhile. It
	// does nothing the second time.
	Release(ctx context.Context) (Report, error)
}

// An Ask is what somebody wants of a program's cluster.
type Ask struct {
	Who     string          // asks, for those who wait behind: "TestFailover of example.com/kv"
	Cluster string          // the id of the only one that will do; "": any that fits, or a new one
	Program *config.Program // what the nodes run
	Dir     string          // of distributed.toml: what the program's package is relative to
	Flags   program.Flags   // to build it with
	Nodes   int             // exactly
	Shared  bool            // others may have it at the same time, and its data are taken as they are
	Network config.Network  // where addresses are taken from
	Faults  bool            `json:"-" cbor:"-"` // its nodes are to be reached through links; not of another process's clusters
	Env     []string        // what the nodes' environment is made of; nil: the owner's own
	Start   time.Duration   // how long the start of the whole cluster may take
	AtOnce  int             // how many nodes may run at once on this machine; 0: as the owner thinks
	Ready   time.Duration   // how long a node may take until it is ready
	Grace   time.Duration   // how long a node may take to stop

	// Announce is told why the lease has to wait, once that has taken a second.
	Announce func(reason string) `json:"-" cbor:"-"`
}

type shape struct {
	Program any
	Network any
}

// shape is all that must agree for a cluster to fit, but for its size and
// build, which have words of their own.
func (a *Ask) shape() string {
	b, err := json.Marshal(shape{a.Program, map[string]string{"addresses": a.Network.Addresses, "range": a.Network.Range}})
	if err != nil {
		panic(err) // strings, numbers and lists of them: cannot happen
	}
	return string(b)
}

var seed = maphash.MakeSeed()

// key tells apart the clusters of one Keeper.
func (a *Ask) key() string {
	var env maphash.Hash
	env.SetSeed(seed)
	for _, v := range a.Env {
		// A go command sets these for the one package it runs.
		if !strings.HasPrefix(v, "PWD=") && !strings.HasPrefix(v, "OLDPWD=") && !strings.HasPrefix(v, "GOCOVERDIR=") {
			env.WriteString(v)
			env.WriteByte(0)
		}
	}
	return fmt.Sprintf("%d %t %s %v %q %q %q %x %s", a.Nodes, a.Faults, a.Network.Faults, a.Network.HostPorts, a.Dir, a.Flags.Args, a.Flags.Env, env.Sum64(), a.shape())
}

// Info describes a cluster.
type Info struct {
	ID      string      `json:"id"`
	Program string      `json:"program"`
	Nodes   []NodeInfo  `json:"nodes"`
	Reused  bool        `json:"reused"`          // it had been leased before
	Inputs  []string    `json:"-" cbor:"inputs"` // files that the program is made of, see program.Touch
	Build   string      `json:"build"`           // tells builds of the program apart
	Started time.Time   `json:"started"`
	Leases  []LeaseInfo `json:"leases"`
	Waiting []string    `json:"waiting,omitempty"` // who wants it next, in order
}

// A LeaseInfo is one hold on a cluster.
type LeaseInfo struct {
	Who    string    `json:"who"`
	Since  time.Time `json:"since"`
	Shared bool      `json:"shared"`
}

// NodeInfo describes a node of a cluster.
type NodeInfo struct {
	Name string            `json:"name"` // "node-1"
	Addr map[string]string `json:"addr"` // host:port by the name of a port
	Dir  string            `json:"dir"`  // its data
	Log  string            `json:"log"`  // file with its output
	State
}

// State is what a node is doing.
type State struct {
	PID    int    `json:"pid"`              // of its process, the last one if it has ended
	Up     bool   `json:"up"`               // the process exists, paused or not
	Paused bool   `json:"paused,omitempty"` // by Pause
	Reason string `json:"reason,omitempty"` // why it is not up: "killed by the test", "exit status 2"
	As     string `json:"as,omitempty"`     // the program it has been restarted as; "": its cluster's
}

// An Action is something that is done to a node.
type Action string

// Actions.
const (
	Kill    Action = "kill"    // SIGKILL to all of its process group
	Stop    Action = "stop"    // as its program says; killed if ctx ends first
	Restart Action = "restart" // stopped if it runs, then started with the same name, addresses and data
	Pause   Action = "pause"   // SIGSTOP to all of its process group
	Resume  Action = "resume"  // SIGCONT
)

// past is an Action as something that happened.
func (a Action) past() string {
	return map[Action]string{Kill: "killed", Stop: "stopped", Restart: "restarted", Pause: "paused", Resume: "resumed"}[a]
}

// A Report is what there is to say at the end of a lease.
type Report struct {
	Problems []Problem
	Left     []string            // processes that had left their process groups, now gone
	Logs     map[string][]string // last lines by node name
}

// A Problem is something that went wrong on a node.
type Problem struct {
	Node      string
	Diagnosis *diagnostics.Diagnosis
	Fails     bool // the test; otherwise it is only told
}

// Why says why a cluster does not fit an Ask; "" if it does. size is how many
// nodes it has, shape and build are what it was made of and from.
func why(a *Ask, size int, shape, build, wantBuild string) string {
	var reasons []string
	if size != a.Nodes {
		word := "too small"
		if size > a.Nodes {
			word = "too large"
		}
		reasons = append(reasons, fmt.Sprintf("%s: %d nodes, %d asked for", word, size, a.Nodes))
	}
	if shape != a.shape() {
		reasons = append(reasons, "started from another configuration: "+strings.Join(differences(shape, a.shape()), ", "))
	} else if build != wantBuild && wantBuild != "" {
		reasons = append(reasons, "another build of the program")
	}
	return strings.Join(reasons, "; ")
}

// differences names the keys that differ between two shapes.
func differences(a, b string) []string {
	parse := func(s string) (flat map[string]string) {
		flat = make(map[string]string)
		var v struct{ Program, Network map[string]json.RawMessage }
		if json.Unmarshal([]byte(s), &v) != nil {
			return flat
		}
		for k, raw := range v.Program {
			flat[strings.ToLower(k)] = string(raw)
		}
		for k, raw := range v.Network {
			flat["network."+strings.ToLower(k)] = string(raw)
		}
		return flat
	}
	x, y := parse(a), parse(b)
	var names []string
	for k := range x {
		if x[k] != y[k] {
			names = append(names, k)
		}
	}
	for k := range y {
		if _, ok := x[k]; !ok {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	return names
}
