package manager

import (
	"context"
	"fmt"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
)

// A Node is one node of a lease, as its test sees it. It keeps its name,
// addresses and directory while processes come and go. It is safe for
// concurrent use. What it is asked after the end of its lease fails.
type Node interface {
	Name() string // "node-1"
	Index() int   // from 0
	// Addr is the address others dial to reach a named port; "" if there is none.
	Addr(port string) string
	// Dir is the directory for the node's data, which is there when Dir returns.
	// It is "" for a node that is no process of ours.
	Dir() (string, error)
	// Log is the file with all that the node has printed; "" if there is none.
	Log() string
	// PID is the process id of the node's process, the last one if it has ended;
	// 0 for a node that is no process of ours.
	PID() int
	// Running reports whether the node's process exists, paused or not.
	Running() bool
	// Used reports whether the node had served an earlier lease.
	Used() bool

	// Call asks a node of the test binary something. Besides the errors of
	// wire.Conn.Call it returns a *LostError if the node was gone before it
	// answered. op says what is done, for errors: "call startReplica on node-2".
	Call(ctx context.Context, op, method string, body []byte) ([]byte, error)

	// Kill ends the node's whole process group by SIGKILL, and returns when the
	// node is gone. A node that has ended already is no error.
	Kill() error
	// Stop ends the node gracefully. If ctx ends first the node is killed, and
	// ctx's error returned.
	Stop(ctx context.Context) error
	// Restart starts the node again, with its name, addresses and directory. A
	// node that runs is stopped first. It returns when the node is ready.
	Restart(ctx context.Context) error
	// RestartAs is Restart as another program of the configuration.
	RestartAs(ctx context.Context, program string) error
	// Pause stops the node's process group by SIGSTOP, and returns when it has
	// stopped.
	Pause() error
	// Resume lets a paused node go on.
	Resume() error

	// Dump says what the node is doing. See Lease.Dump.
	Dump(ctx context.Context, quit time.Duration) Dump
}

func nodeName(index int) string { return fmt.Sprintf("node-%d", index+1) }

// LostError says that a node was gone before it answered.
type LostError struct {
	Node      string
	Op        string
	Reason    string // "killed by the test", where the test itself ended it
	Exit      diagnostics.Exit
	At        time.Time              // when its end was seen
	Log       []string               // last lines
	Diagnosis *diagnostics.Diagnosis // nil where the test itself ended it
}

func (e *LostError) Error() string {
	if e.Diagnosis != nil {
		return e.Diagnosis.Error()
	}
	return fmt.Sprintf("%s: the node is gone: %s", e.Op, e.Reason)
}

// Unwrap returns the diagnosis, where there is one.
func (e *LostError) Unwrap() error {
	if e.Diagnosis == nil {
		return nil
	}
	return e.Diagnosis
}

// A Problem is something that went wrong on a node and that the test has to
// hear of.
type Problem struct {
	Node      string
	Diagnosis *diagnostics.Diagnosis
	Fails     bool   // the test; otherwise it is only told
	Stacks    string // of the node's goroutines, where it did not stop
}
