package diagnostics

import "time"

// A Code names one diagnosis for good: it is what people search for.
type Code string

// A Diagnosis says why a cluster could not be had, or a node was lost. It is an
// error; its text leads with the cause.
type Diagnosis struct {
	Code       Code          `json:"code"`
	Title      string        `json:"title"`
	Problem    string        `json:"problem"`               // what could not be done, naming the operation and the thing
	Cause      string        `json:"cause"`                 // why, as far as the evidence shows
	Evidence   []string      `json:"evidence,omitempty"`    // what was measured, one fact a line
	Remedies   []string      `json:"remedies,omitempty"`    // what to do, most likely first
	Fallback   string        `json:"fallback,omitempty"`    // what was done instead
	Retry      bool          `json:"retry"`                 // the cause can pass by itself
	RetryAfter time.Duration `json:"retry_after,omitempty"` // nanoseconds; when a retry makes sense
	Err        error         `json:"-"`                     // what the system said, for errors.Is
}

// A Phase is where in the life of a cluster something failed.
type Phase string

const (
	PhaseConfig    Phase = "configuration" // reading distributed.toml and the environment
	PhaseBootstrap Phase = "bootstrap"     // the generated file, TestMain
	PhaseLimits    Phase = "limits"        // the requirement against what may be had
	PhasePrepare   Phase = "prepare"       // directories, addresses, descriptors
	PhaseExec      Phase = "exec"          // starting the process
	PhaseHandshake Phase = "handshake"     // from the process's start to its first answer
	PhaseCall      Phase = "call"          // a node in use
	PhaseStop      Phase = "stop"          // the end of a lease
)

// A Failure is what a caller knows when something went wrong. Only Phase and
// Op are always there.
type Failure struct {
	Phase   Phase
	Op      string        // what was being done: "start 3 nodes for TestLeader"
	Node    string        // "node-2", where one node is concerned
	Err     error         // what the system, or the layer below, said
	Exit    *Exit         // the node's process has ended
	Path    string        // the file or directory concerned
	Address string        // host:port concerned
	Log     []string      // the node's last log lines
	Elapsed time.Duration // how long it took until now
	Limit   time.Duration // how long it might have taken
	Asked   int           // nodes asked for
	Allowed int           // nodes that may be had
	Source  string        // what set the limit: "max_nodes of distributed.toml", "ci.max_nodes"
	Name    string        // the test, function, program or key concerned
}

// Exit is how a process ended.
type Exit struct {
	Code   int    // exit status; -1 if a signal ended it
	Signal string // "killed", "segmentation fault"; "" if it exited
}
