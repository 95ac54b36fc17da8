package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
)

// A Dump is what a node was doing when it was asked, or what is known of one
// that did not say.
type Dump struct {
	Node    string
	PID     int       // 0 for a node that is no process of ours
	Pending []Pending // calls that have not returned, the oldest first
	Stacks  string    // of all of the node's goroutines, as the Go runtime prints them; "" if it gave none
	Silent  string    // why it gave none: "paused by the test"
	Log     []string  // last lines, where there are no stacks
}

// A Pending is a call that the test side waits for.
type Pending struct {
	Op    string // "call startReplica on node-2"
	Since time.Time

	method string // the function's name; "": none of the user's
	id     uint64 // of its events; 0: it has had none. Guarded by the node.
}

// Dump asks all nodes at once what they are doing. A node of the test binary
// that has not answered when ctx ends is told to end by SIGQUIT, which has it
// print its goroutines, and has that long to do so; quit = 0 leaves it alone.
func (l *Lease) Dump(ctx context.Context, quit time.Duration) []Dump {
	dumps := make([]Dump, len(l.Nodes))
	var wg sync.WaitGroup
	for i, n := range l.Nodes {
		wg.Go(func() { dumps[i] = n.Dump(ctx, quit) })
	}
	wg.Wait()
	return dumps
}

// Lines say where the node is, for people: a line for the node and one for each
// call that it is running. The stacks are not in it.
func (d *Dump) Lines() []string {
	return d.lines(time.Now())
}

func (d *Dump) lines(now time.Time) []string {
	head := d.Node
	if d.PID > 0 {
		head += fmt.Sprintf(" (pid %d)", d.PID)
	}
	if d.Silent != "" {
		head += " " + d.Silent
	} else {
		head += " answers"
	}
	var lines []string
	for _, p := range d.Pending {
		lines = append(lines, fmt.Sprintf("    %s has not returned for %v", p.Op, now.Sub(p.Since).Round(time.Millisecond)))
	}
	running := runningCalls(d.Stacks)
	for _, r := range running {
		lines = append(lines, "    "+r)
	}
	switch {
	case len(lines) > 0:
		head += ":"
	case d.Stacks != "":
		head += "; no call is running on it"
	}
	for _, line := range d.Log {
		lines = append(lines, "    | "+line)
	}
	return append([]string{head}, lines...)
}

// A goroutine is one of a dump's, its innermost frame first.
type goroutine struct {
	state  string // "chan receive, 2 minutes"
	frames []frame
}

type frame struct{ function, position string }

// parseStacks reads what runtime.Stack and a fatal signal print.
func parseStacks(text string) []goroutine {
	var gs []goroutine
	for block := range strings.SplitSeq(text, "\n\n") {
		// What a fatal signal says comes before the first one.
		if i := strings.Index(block, "goroutine "); i > 0 && block[i-1] == '\n' {
			block = block[i:]
		}
		head, rest, _ := strings.Cut(strings.TrimLeft(block, "\n"), "\n")
		_, state, ok := strings.Cut(head, "[")
		if !strings.HasPrefix(head, "goroutine ") || !ok {
			continue
		}
		g := goroutine{state: strings.TrimSuffix(state, "]:")}
		lines := strings.Split(rest, "\n")
		for i := 0; i+1 < len(lines) && !strings.HasPrefix(lines[i], "created by "); i += 2 {
			at, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
			function := lines[i]
			if i := strings.LastIndexByte(function, '('); i > 0 { // its arguments
				function = function[:i]
			}
			g.frames = append(g.frames, frame{function, at})
		}
		gs = append(gs, g)
	}
	return gs
}

// What surrounds a function that was called from the test side, from the
// outside, and what surrounds a cleanup.
const (
	servingFrame = "github.com/distkit/dist/runtime.(*nodeSide).call"
	wrapperFrame = "github.com/distkit/dist/runtime.Func[...]."
	cleanupFrame = "github.com/distkit/dist/runtime.protect"
	moduleFrame  = "github.com/distkit/dist/runtime"
)

// called is the part of a goroutine's stack that is the test's: of a function
// that the test side has called, or of a cleanup.
func (g *goroutine) called() (frames []frame, cleanup, ok bool) {
	end := slices.IndexFunc(g.frames, func(f frame) bool { return f.function == servingFrame || f.function == cleanupFrame })
	if end < 0 {
		return nil, false, false
	}
	frames = g.frames[:end]
	if i := slices.IndexFunc(frames, func(f frame) bool { return strings.HasPrefix(f.function, wrapperFrame) }); i >= 0 {
		frames = frames[:i]
	}
	// Without any it is between two of our own lines.
	return frames, g.frames[end].function == cleanupFrame, len(frames) > 0
}

// runningCalls finds the goroutines that run what the test side has called, or a
// cleanup, and says where each is.
func runningCalls(stacks string) []string {
	var lines []string
	for _, g := range parseStacks(stacks) {
		frames, cleanup, ok := g.called()
		if !ok {
			continue
		}
		called := frames[len(frames)-1]
		at := called
		for _, f := range frames {
			if pkg := packageOf(f.function); pkg == packageOf(called.function) || !isStandard(pkg) && !strings.HasPrefix(pkg, moduleFrame) {
				at = f
				break
			}
		}
		what := shortName(called.function)
		if cleanup {
			what = "a cleanup"
		}
		line := fmt.Sprintf("%s is at %s [%s]", what, at.position, g.state)
		if at != called {
			line += ", in " + shortName(at.function)
		}
		lines = append(lines, line)
	}
	return lines
}

// packageOf is the import path in a function's symbol: "example.com/p" of
// "example.com/p.(*T).M".
func packageOf(function string) string {
	name, _, _ := strings.Cut(function, "[")
	name, _, _ = strings.Cut(name, "(")
	slash := strings.LastIndexByte(name, '/') + 1
	pkg, _, _ := strings.Cut(name[slash:], ".")
	return name[:slash] + pkg
}

// isStandard goes by what only the standard library may do: a path that does
// not begin with a host's name.
func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

func shortName(function string) string {
	i := strings.LastIndexByte(function, '/')
	if j := strings.IndexByte(function, '('); j >= 0 && j < i {
		i = strings.LastIndexByte(function[:j], '/')
	}
	return function[i+1:]
}

// enter notes a call that is being made, and returns the process it goes to.
func (n *binaryNode) enter(op, method string) (engine.Node, *Pending) {
	c := &Pending{Op: op, Since: time.Now(), method: method}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pending == nil {
		n.pending = make(map[*Pending]struct{})
	}
	n.pending[c] = struct{}{}
	return n.process(), c
}

func (n *binaryNode) leave(c *Pending) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pending, c)
}

// Dump implements Node.
func (n *binaryNode) Dump(ctx context.Context, quit time.Duration) Dump {
	p := n.process()
	n.mu.Lock()
	d := Dump{Node: n.name, PID: p.PID()}
	for c := range n.pending {
		d.Pending = append(d.Pending, *c)
	}
	n.mu.Unlock()
	slices.SortFunc(d.Pending, func(a, b Pending) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Op, b.Op)) })
	switch {
	case !engine.Alive(p):
		exit := p.Exit()
		d.Silent = fmt.Sprintf("has ended (%v)", &exit)
	case n.lives.Paused():
		d.Silent = "was paused by the test and does not answer" // and a signal would wait for its end
	default:
		n.ask(ctx, p, quit, &d)
	}
	if d.Stacks == "" {
		d.Log = engine.Tail(n.Log(), shownLines)
	}
	return d
}

// ask has a process say what its goroutines do: over the control channel or,
// where nothing comes that way and quit is not 0, by SIGQUIT.
func (n *binaryNode) ask(ctx context.Context, p engine.Node, quit time.Duration, d *Dump) {
	stacks, err := p.Conn().Call(ctx, MethodStacks, nil)
	if err == nil {
		d.Stacks = string(stacks)
		return
	}
	d.Silent = "does not answer"
	if !engine.Alive(p) {
		exit := p.Exit()
		d.Silent = fmt.Sprintf("has ended (%v)", &exit)
		return
	}
	f := diagnostics.Failure{Code: diagnostics.NodeHung, PID: p.PID()}
	diagnostics.Gather(context.Background(), &f)
	if info := f.Facts.Process; info != nil {
		d.Silent += fmt.Sprintf(" (%s, %d threads, %v of processor time)", info.State, info.Threads, info.CPU)
		if info.Stopped {
			return // a signal would wait
		}
	}
	if quit <= 0 {
		return
	}
	n.spoil()
	if !n.lives.ExpectOf(p, "ended by SIGQUIT, because it did not answer") {
		return // it has been restarted, or has ended
	}
	before := engine.LogSize(n.Log())
	if err := p.Interrupt("SIGQUIT"); err != nil {
		return
	}
	select {
	case <-p.Done():
	case <-time.After(quit):
		return
	}
	if d.Stacks = readFrom(n.Log(), before); d.Stacks != "" {
		d.Silent += "; its stacks were had by SIGQUIT"
	}
}

// QuitTime is what a node that does not answer has to print its goroutines.
const QuitTime = 500 * time.Millisecond

// readFrom returns what a node has printed since its log had a size.
func readFrom(file string, from int64) string {
	const most = 16 << 20
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, from, most))
	if err != nil {
		return ""
	}
	return string(b)
}

// A hungError says that a node had to be killed because it did not stop.
type hungError struct {
	err     error
	failure diagnostics.Failure // with the evidence, which the kill destroys
	stacks  string
}

func (e *hungError) Error() string { return e.err.Error() }
func (e *hungError) Unwrap() error { return e.err }

// explain gathers why a process does not stop, before it is killed.
func (n *binaryNode) explain(p engine.Node, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), QuitTime)
	defer cancel()
	f := diagnostics.Failure{Phase: diagnostics.PhaseStop, Code: diagnostics.NodeHung, Err: err, PID: p.PID()}
	if n.c != nil {
		f.Limit = n.c.request.Config.StopTimeout()
	}
	diagnostics.Gather(context.Background(), &f)
	d := Dump{Node: n.name, PID: p.PID()}
	n.ask(ctx, p, QuitTime, &d)
	f.Details = d.Lines()
	if running := runningCalls(d.Stacks); len(running) > 0 {
		f.Doing = running[0]
	}
	f.Log = engine.LogTail(p)
	return &hungError{err, f, d.Stacks}
}

// noteHung notes as a problem that a process did not stop.
func (n *binaryNode) noteHung(err error) {
	e := (*hungError)(nil)
	if !errors.As(err, &e) {
		n.problem(diagnostics.Failure{Phase: diagnostics.PhaseStop, Code: diagnostics.NodeHung, Err: err}, true)
		return
	}
	n.problem(e.failure, true)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.problems[len(n.problems)-1].Stacks = e.stacks
}

// Dump implements Node. A program is not told to print what it does: there is
// no way to do so that all of them survive.
func (n *programNode) Dump(context.Context, time.Duration) Dump {
	s := n.state()
	d := Dump{Node: n.Name(), PID: s.PID, Log: engine.Tail(n.Log(), shownLines)}
	program := cmp.Or(s.As, n.c.info.Program)
	d.Silent = "runs " + program + " (" + filepath.Base(n.Log()) + ")"
	if !s.Up {
		d.Silent = "has ended; it ran " + program
	}
	return d
}

// Dump implements Node.
func (n *attachedNode) Dump(context.Context, time.Duration) Dump {
	return Dump{Node: n.Name(), Silent: "belongs to the attached cluster " + n.c.ID + ", of whose processes nothing is known"}
}
