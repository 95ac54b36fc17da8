package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/network/namespaces"
	"github.com/distkit/dist/runtime/wire"
)

// An Engine starts nodes. It is safe for concurrent use: a cluster's nodes are
// started all at once.
type Engine interface {
	// Name is the engine's name in distributed.toml.
	Name() string
	// Start starts a node of the test binary and returns when it has answered.
	// Its error is an *Error, unless ctx ended.
	Start(ctx context.Context, s Spec) (Node, error)
	// Run starts a command as a node and returns when its process runs, which is
	// long before it is ready for anything. Its error is an *Error, unless ctx
	// had ended. What comes back has no control channel: its Conn is nil.
	Run(ctx context.Context, c Command) (Node, error)
	// Guard returns when it is seen to that what nodes do outside their process
	// groups is undone if this process is killed. Nodes of the test binary are
	// started without, which makes their start shorter: before any code of a user's
	// has done something there, somebody must call it.
	Guard()
	// Root is the directory of this run, where logs and the nodes' directories
	// are. It is there until Close.
	Root() (string, error)
	// Sweep ends what nodes have left behind outside their process groups, and
	// says what it was, one process a line. All of the nodes must have ended.
	Sweep(nodes []Node) []string
	// Close gives back all that the engine holds. All nodes must have ended.
	Close() error
}

// A Spec is what an engine must know to start a node. Who the node is (its
// name, cluster and addresses) it learns over the control channel, later: a
// spare is started before anybody knows.
type Spec struct {
	Env     []string     // of the node, as os.Environ gives it
	Log     string       // file its output is appended to; "": the engine makes one
	Handler wire.Handler // answers what the node asks of the test side; may be nil

	Host *namespaces.Host // the network that it is started in; nil: that of this process

	// Spawned, if not nil, is called when the node has been started and before
	// it has answered. What is asked of it then waits in its control channel.
	Spawned func(Node)

	// Ended, if not nil, is called when the node has ended, just before Done is
	// closed. Its Exit is valid then.
	Ended func(Node)
}

// A Command is what an engine must know to start a program.
type Command struct {
	Path string   // of the executable, absolute
	Args []string // without the program's own name
	Env  []string // as os.Environ gives it
	Dir  string   // the working directory, which must be there
	Log  string   // file its output is appended to; "": the engine makes one

	Host *namespaces.Host // the network that it is started in; nil: that of this process
}

// A Node is one running node.
type Node interface {
	PID() int
	Conn() *wire.Conn       // nil if it runs a command
	LogFile() string        // where its output goes
	LogFrom() int64         // where in that it begins, in bytes: others may have had the file before it
	Done() <-chan struct{}  // closed when the process is gone and so is its process group
	Exit() diagnostics.Exit // how it ended; valid after Done
	Kill() error            // SIGKILL to all of it; returns when it is gone
	Pause() error           // SIGSTOP to all of it; returns when it has stopped
	Resume() error          // SIGCONT

	// Interrupt sends a signal by its name, "SIGTERM", to the node's first
	// process alone, which knows how to end what it has started. It does not wait.
	// A node that has ended is os.ErrProcessDone; one that is paused gets the
	// signal when it is resumed.
	Interrupt(signal string) error
}

// An Error is a Failure as an error: what an engine knows when it could not do
// its work.
type Error struct{ diagnostics.Failure }

func (e *Error) Error() string {
	text := e.Op
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Unaddressed gives an *Error for want of addresses in a range the code that says
// why: all are taken, or it never has as many. It returns err.
func Unaddressed(err error, addresses string) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
	case errors.Is(err, network.ErrExhausted):
		e.Code, e.Source = diagnostics.AddrExhausted, addresses
	case errors.Is(err, network.ErrTooSmall):
		e.Phase, e.Code = diagnostics.PhaseConfig, diagnostics.ConfigInvalid
	}
	return err
}

// LogLines is how many lines of a log are looked at to find out what went wrong: a
// panic begins with what matters, and ends with all other goroutines.
const LogLines = 1000

// LogTail returns the last LogLines of what a node has printed.
func LogTail(n Node) []string { return TailFrom(n.LogFile(), n.LogFrom(), LogLines) }

// LogSize is how long a log is, in bytes; 0 if it cannot be read.
func LogSize(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Tail returns the last lines of a log, at most n, long ones cut; nil if it
// cannot be read.
func Tail(file string, n int) []string { return TailFrom(file, 0, n) }

// TailFrom is Tail of what comes after the first bytes of a log: those of an
// earlier process.
func TailFrom(file string, from int64, n int) []string {
	const most = 64 << 10 // bytes looked at
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	if info.Size() <= from {
		return nil
	}
	b := make([]byte, min(info.Size()-from, most))
	read, err := f.ReadAt(b, info.Size()-int64(len(b)))
	if err != nil && err != io.EOF {
		return nil
	}
	lines := strings.Split(strings.TrimRight(string(b[:read]), "\r\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		if len(line) > 1000 {
			line = strings.ToValidUTF8(line[:1000], "") + "…"
		}
		lines[i] = line
	}
	return lines
}

// Alive reports whether a node's process exists, paused or not.
func Alive(n Node) bool {
	select {
	case <-n.Done():
		return false
	default:
		return true
	}
}

// raceMark begins the race detector's report.
const raceMark = "WARNING: DATA RACE"

// RaceReport is the first data race that a log tells of from an offset in bytes
// on, by lines; nil if it tells of none, or cannot be read. Of the log no more is
// in memory at a time than a report may have: a program may have printed
// gigabytes.
func RaceReport(file string, from int64) []string {
	const most = 256 << 10 // bytes of a report
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, most)
	for kept := 0; ; {
		n, err := f.ReadAt(buf[kept:], from)
		from += int64(n)
		text := buf[:kept+n]
		if i := bytes.Index(text, []byte(raceMark)); i >= 0 {
			report := append([]byte(nil), text[i:]...)
			if err == nil {
				n, _ = f.ReadAt(buf[:most-len(report)], from)
				report = append(report, buf[:n]...)
			}
			report, _, _ = bytes.Cut(report, []byte("=================="))
			return strings.Split(strings.TrimRight(string(report), "\n"), "\n")
		}
		if err != nil || n == 0 {
			return nil
		}
		// The mark may be cut in two.
		kept = copy(buf, text[max(0, len(text)-len(raceMark)+1):])
	}
}
