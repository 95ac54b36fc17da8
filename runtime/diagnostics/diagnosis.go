package diagnostics

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Code names one diagnosis for good: it is what people search for. The codes
// are the constants of table.go.
type Code string

// A Diagnosis says why a cluster could not be had, or a node was lost. It is an
// error; its text leads with the cause.
type Diagnosis struct {
	Code       Code          `json:"code"`
	Title      string        `json:"title"`
	Problem    string        `json:"problem"`            // what could not be done, naming the operation and the thing
	Cause      string        `json:"cause"`              // why, as far as the evidence shows
	Evidence   []string      `json:"evidence,omitempty"` // what was measured, one fact a line; lines of a log begin with "| "
	Remedies   []string      `json:"remedies,omitempty"` // what to do, most likely first
	Phase      Phase         `json:"phase,omitempty"`    // where in the life of a cluster it failed
	Fallback   string        `json:"fallback,omitempty"` // what was done instead
	Retry      bool          `json:"retry"`              // the cause can pass by itself
	RetryAfter time.Duration `json:"-"`                  // when a retry makes sense; see MarshalJSON
	Reduce     bool          `json:"reduce"`             // fewer nodes may do
	Skip       bool          `json:"skip"`               // asked for: the test is to be skipped, nothing went wrong
	Err        error         `json:"-"`                  // what the system said, for errors.Is
}

// Unwrap returns what the system, or the layer below, said.
func (d *Diagnosis) Unwrap() error { return d.Err }

// diagnosisJSON is a Diagnosis as it is written down. Its field names, and
// those in the tags of Diagnosis, are stable.
type diagnosisJSON struct {
	plainDiagnosis
	RetryAfter   string `json:"retry_after,omitempty"`    // for people: "100ms"
	RetryAfterNS int64  `json:"retry_after_ns,omitempty"` // for programs
	Error        string `json:"error,omitempty"`          // the text of Err
	More         string `json:"more,omitempty"`           // where the code is explained
}

type plainDiagnosis Diagnosis // without the methods

// MarshalJSON writes the fields by their tags, and adds:
//
//	retry_after     RetryAfter as a duration string, "100ms"
//	retry_after_ns  the same in nanoseconds
//	error           the text of Err
//	more            where the code is explained: file#anchor
func (d Diagnosis) MarshalJSON() ([]byte, error) {
	j := diagnosisJSON{plainDiagnosis: plainDiagnosis(d), RetryAfterNS: int64(d.RetryAfter), More: d.Code.doc()}
	if d.RetryAfter > 0 {
		j.RetryAfter = d.RetryAfter.String()
	}
	if d.Err != nil {
		j.Error = d.Err.Error()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote. Err comes back as its text alone:
// errors.Is no longer finds what was in it.
func (d *Diagnosis) UnmarshalJSON(data []byte) error {
	var j diagnosisJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("read diagnosis: %w", err)
	}
	*d = Diagnosis(j.plainDiagnosis)
	d.RetryAfter = time.Duration(j.RetryAfterNS)
	if j.Error != "" {
		d.Err = errorText(j.Error)
	}
	return nil
}

// errorText is an error of which only the text has survived.
type errorText string

func (e errorText) Error() string { return string(e) }

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
	Code    Code          // decides the diagnosis, where the caller knows it; "": found from the rest
	Op      string        // what was being done: "start 3 nodes for TestLeader"
	Node    string        // "node-2", where one node is concerned
	Alike   []string      // other nodes that failed for the same cause
	Err     error         // what the system, or the layer below, said
	Exit    *Exit         // the node's process has ended
	Path    string        // the file or directory concerned
	Dir     string        // the working directory the process was to have
	Address string        // host:port concerned
	Log     []string      // the node's last log lines
	Elapsed time.Duration // how long it took until now
	Limit   time.Duration // how long it might have taken
	Asked   int           // nodes asked for
	Allowed int           // nodes that may be had
	Source  string        // what set the limit or the mode: "max_nodes of distributed.toml", "ci.max_nodes", "DIST_CLUSTER_MODE"
	Name    string        // the test, function, program or key concerned
	Pos     string        // file:line:col concerned
	PID     int           // the node's process
	Doing   string        // what the node is at, from its stacks: "raft.wait is at raft_test.go:45 [chan receive]"
	Details []string      // further facts the caller knows, one a line: what leaked, both options that disagree

	OwnTestMain bool    // the package has a TestMain of its own
	OOMBefore   *uint64 // what OOMKills said when the node started; nil if nobody asked

	Fallback string // what was done instead: "tried 3 times (100ms, 200ms, 400ms apart)"
	OS       string // as runtime.GOOS, which "" stands for

	Facts Facts // what Gather measured
}

// Exit is how a process ended.
type Exit struct {
	Code   int    // exit status; -1 if a signal ended it
	Signal string // "killed", "segmentation fault"; "" if it exited
}

// String is how package os words it: "exit status 2", "signal: killed".
func (e *Exit) String() string {
	switch {
	case e == nil:
		return "not ended"
	case e.Signal != "":
		return "signal: " + e.Signal
	default:
		return fmt.Sprintf("exit status %d", e.Code)
	}
}

// killed reports whether SIGKILL ended the process: directly, or below a shell
// or container that says so by 128+9.
func (e *Exit) killed() bool {
	return e != nil && (e.Signal == "killed" || e.Signal == "" && e.Code == 137)
}
