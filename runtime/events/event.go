package events

import (
	"encoding/json"
	"time"
)

// Schema is what a file's first line says it is.
const Schema = "dist.events/1"

// A Kind says what an event is about.
type Kind string

// The kinds of events. docs/events.md says when each is written, and what is in
// it.
const (
	Run      Kind = "run"
	Test     Kind = "test"
	Decision Kind = "decision"
	Lease    Kind = "lease"
	Start    Kind = "start"
	Retry    Kind = "retry"
	Exit     Kind = "exit"
	Call     Kind = "call"
	CallDone Kind = "call.done"
	Barrier  Kind = "barrier"
	Fault    Kind = "fault"
	Schedule Kind = "schedule"
	Leak     Kind = "leak"
	Diagnose Kind = "diagnosis"
	Log      Kind = "log"
	Print    Kind = "print"
	Dropped  Kind = "dropped"
)

// Kinds are all kinds of events.
var Kinds = []Kind{Run, Test, Decision, Lease, Start, Retry, Exit, Call, CallDone, Barrier, Fault, Schedule, Leak, Diagnose, Log, Print, Dropped}

// frequent are the kinds of which there may be any number: where they do not
// fit any more, the oldest of them make room for the newest.
func (k Kind) frequent() bool {
	switch k {
	case Call, CallDone, Barrier, Log, Print:
		return true
	}
	return false
}

// An Event is one line of the file but the first. Fields that do not concern its
// kind are zero, and not written.
type Event struct {
	At      time.Duration `json:"t"` // since the start of the run; when it began, if Dur is set
	Kind    Kind          `json:"kind"`
	Dur     time.Duration `json:"dur,omitempty"`
	Test    string        `json:"test,omitempty"`
	Cluster string        `json:"cluster,omitempty"`
	Node    string        `json:"node,omitempty"` // "": the test process
	Peer    string        `json:"peer,omitempty"`
	ID      uint64        `json:"id,omitempty"` // joins a Call with its CallDone
	What    string        `json:"what,omitempty"`
	Text    string        `json:"text,omitempty"`
	Outcome string        `json:"outcome,omitempty"`
	Error   string        `json:"error,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	PID     int           `json:"pid,omitempty"`
	Size    int           `json:"size,omitempty"`
	Seed    uint64        `json:"seed,omitempty"`
	Bytes   int           `json:"bytes,omitempty"`
	Code    string        `json:"code,omitempty"`
	File    string        `json:"file,omitempty"`
	Reused  bool          `json:"reused,omitempty"`
	Nodes   []string      `json:"nodes,omitempty"`
	Addrs   []string      `json:"addrs,omitempty"` // "raft=127.3.4.5:7000"
	// Pairs are the directed pairs of nodes that are cut from now on. In a Fault
	// of the network it is not nil, and empty where none is.
	Pairs [][2]string `json:"pairs,omitempty"`
}

// End is when the event was over, since the start of the run.
func (e *Event) End() time.Duration { return e.At + e.Dur }

// Outcomes of events.
const (
	OK      = "ok"
	Error   = "error"
	Panic   = "panic"
	Lost    = "lost"  // the node was gone
	Ended   = "ended" // the context was
	Failed  = "failed"
	Skipped = "skipped"
	Passed  = "ok"
	Killed  = "killed"
	Crashed = "crashed"
)

// A Header is the first line of a file.
type Header struct {
	Schema  string    `json:"schema"`
	Run     string    `json:"run"`
	Start   time.Time `json:"start"`
	Package string    `json:"package"`
	PID     int       `json:"pid"`
	Go      string    `json:"go"`
	OS      string    `json:"os"`
	Arch    string    `json:"arch"`
	Args    []string  `json:"args"` // of the test binary, without its name
	CPUs    int       `json:"cpus"`

	// Within tells the runs of one dist test, or of one go test, from others: the
	// packages of one command line have the same. It is "" where nothing is above
	// the test binary.
	Within string `json:"within,omitempty"`
}

func (h *Header) line() []byte {
	b, err := json.Marshal(h)
	if err != nil {
		return nil // strings, numbers and a time of now: cannot happen
	}
	return append(b, '\n')
}
