package suite

// Env is the variable that carries a Job to a process of the test binary.
const Env = "DISTBENCH"

// Mark begins the line on standard output that carries a Sample back.
const Mark = "distbench "

// Test is the test that measures, in the package that the suite is compiled
// into.
const Test = "TestDistBench"

// A Job is what one process of the test binary is to do.
type Job struct {
	Kind    string // see the table of roles
	Nodes   int    `json:",omitempty"` // size of the cluster
	Reuse   bool   `json:",omitempty"` // the test takes used nodes
	Size    int    `json:",omitempty"` // bytes of an argument
	Callers int    `json:",omitempty"` // goroutines that call
	Calls   int    `json:",omitempty"` // by each caller
	Faults  string `json:",omitempty"` // the backend of a network that can have faults; "": one that cannot, but for kinds about that
	Parents bool   `json:",omitempty"` // every node has a child
}

// What processes of the test binary do. Start, Calls, Leases, Link, Stream, Talk,
// Flow, Cut, Heal, Stops, Diagnose and Hold measure or hold a cluster, from inside the test;
// StartBare and ExitBare measure floors; the others are what these start.
const (
	Start     = "start"      // from package initialisation until all nodes have answered a call
	StartBare = "start-bare" // until as many bare processes have written a byte
	Calls     = "calls"      // round trips of calls, and of frames
	Leases    = "leases"     // dist.Require, and as many calls as there are nodes
	Link      = "link"       // round trips between nodes by way of a link, and of a bare proxy
	Stream    = "stream"     // the same for a stream
	Talk      = "talk"       // round trips between nodes
	Flow      = "flow"       // the same for a stream
	Cut       = "cut"        // a network that is parted, and a call
	Heal      = "heal"       // a network that is whole again, and a call
	Stops     = "stops"      // the end of a lease, and of as many bare processes
	Diagnose  = "diagnose"   // from package initialisation until it is told that the nodes, which exit, do not start
	ExitBare  = "exit-bare"  // until as many bare processes, which exit, are reaped
	Exit      = "exit"       // exit
	Hold      = "hold"       // have a cluster, print its process ids, and wait
	Bare      = "bare"       // write a byte, and exit when the standard input ends
	Frames    = "frames"     // answer frames on descriptor 3
)

// A Sample is one measurement, in nanoseconds: what ours took and what the
// floor did. A job that measures only one of them leaves the other 0.
type Sample struct {
	Ours  float64 `json:",omitempty"`
	Floor float64 `json:",omitempty"`
	P95   float64 `json:",omitempty"` // of ours, where one sample is the median of many
	PIDs  []int   `json:",omitempty"` // of the nodes, from Hold
}
