package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/network/backend"
	"github.com/distkit/dist/runtime/wire"
)

// tailLines is how much of a node's log an error has, shownLines the output of a
// test that failed: a panic's first line is far from its last. What is diagnosed
// is more of it (engine.LogLines).
const (
	tailLines  = 40
	shownLines = 20
)

// A binaryCluster is a cluster whose nodes run the test binary.
type binaryCluster struct {
	*Lease
	m        *Manager
	nodes    []*binaryNode
	addrs    *network.Lease
	network  *backend.Network // nil if no faults are injected
	unlinked error            // why there are none, though the test may want to
	dir      string           // of the nodes' directories: there as soon as one is asked for
	barriers *barriers
	watching atomic.Bool // somebody is going to look for long calls
}

// release implements cluster. Nodes retire gracefully, all at once, unless they
// are to be reused and are provably clean.
func (c *binaryCluster) release(ctx context.Context, keep bool, wantLogs func(problems bool) bool) Report {
	c.barriers.end()
	keep = keep && reusable(c.request.Requirement, c.request.Config) && c.network.Host(0) == nil
	stays := make([]bool, len(c.nodes))
	var past error
	if c.network != nil {
		past = c.network.Set(nil) // nodes may want to take leave of each other
	}
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		wg.Go(func() {
			if keep && n.reset(ctx) {
				stays[i] = true
				return
			}
			n.end(ctx)
		})
	}
	wg.Wait()

	var r Report
	var ended []engine.Node
	for i, n := range c.nodes {
		r.Problems = append(r.Problems, n.problems...)
		ended = append(ended, n.lives.Past()...)
		if stays[i] {
			r.Kept++
			continue
		}
		if keep {
			r.Replaced++
		}
		ended = append(ended, n.process())
	}
	r.Left = c.m.engine.Sweep(ended)
	r.Notes, r.Lost = c.unprofiled(), c.uncounted()
	if past != nil {
		r.Notes = append(r.Notes, "network faults by "+c.network.String()+": "+past.Error())
	}
	if wantLogs(len(r.Problems) > 0) {
		r.Logs = make(map[string][]string)
		for _, n := range c.nodes {
			if tail := engine.Tail(n.Log(), shownLines); len(tail) > 0 {
				r.Logs[n.name] = tail
			}
		}
	}
	for i, n := range c.nodes {
		c.m.logs.Finish(n.Log())
		if stays[i] {
			os.Truncate(n.Log(), 0) // the next test's begins here
			c.m.pool.keep(n.process(), n.inbox, n.env)
		} else {
			os.Remove(n.Log())
		}
	}
	c.discard()
	return r
}

// health implements cluster.
func (c *binaryCluster) health(ctx context.Context) []error {
	errs := make([]error, len(c.nodes))
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		wg.Go(func() { errs[i] = n.ping(ctx) })
	}
	wg.Wait()
	return errs
}

// discard gives back what the cluster has besides its nodes.
func (c *binaryCluster) discard() {
	if c.network != nil {
		c.network.Close()
	}
	c.addrs.Release()
	os.RemoveAll(c.dir)
}

// A binaryNode is a node that runs the test binary.
type binaryNode struct {
	name  string
	index int
	dir   string // for the node's data; not there before Dir

	c    *binaryCluster // nil after its lease, where it was kept for another
	used bool
	env  uint64 // fingerprint of what the process was started with

	// acting serialises what changes the process: Kill, Stop, Restart, the end.
	acting sync.Mutex

	lives engine.Lives

	mu       sync.Mutex
	log      string
	inbox    *inbox      // of the last process
	debugger engine.Node // that has been attached to it; nil if none has
	faulted  bool        // killed, paused or restarted: not to be reused
	problems []Problem
	pending  map[*Pending]struct{} // calls in progress
}

func newNode(c *binaryCluster, index int) *binaryNode {
	name := nodeName(index)
	return &binaryNode{name: name, index: index, c: c, dir: filepath.Join(c.dir, name)}
}

// Name implements Node.
func (n *binaryNode) Name() string { return n.name }

// Index implements Node.
func (n *binaryNode) Index() int { return n.index }

// DirName is the directory for the node's data, which is not there unless somebody
// has asked for it.
func (n *binaryNode) DirName() string { return n.dir }

// Dir implements Node. The directory is created only now: most tests never ask
// for it, and on a busy disk it can take longer than all the rest of a lease.
func (n *binaryNode) Dir() (string, error) {
	if n.c.Ended() {
		return n.dir, nil
	}
	return n.dir, os.MkdirAll(n.dir, 0o700)
}

// examineTime is how much earlier than a node's a lease's time can be up and both
// be the same to people.
const examineTime = 100 * time.Millisecond

// adopt makes a process this node: tells it who it is, and waits until it has
// heard. A process that is still starting is told all the same: it reads that
// first, and answers with its name.
func (n *binaryNode) adopt(ctx context.Context, c *candidate) error {
	err := n.become(ctx, c)
	n.recordStart(c, err)
	if err == nil {
		n.c.m.logs.Follow(n.Log(), n.c.request.Test, n.name)
	}
	return err
}

func (n *binaryNode) become(ctx context.Context, c *candidate) error {
	late := func() error {
		if time.Until(c.until) < examineTime {
			select { // its own time is up, too: the engine has it examined
			case <-c.ready:
				if c.err != nil {
					return c.err
				}
			case <-time.After(2 * time.Second):
			}
		}
		return &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhaseHandshake, Op: "start a node", Err: ctx.Err(), Log: engine.Tail(n.Log(), engine.LogLines)}}
	}
	select {
	case <-c.spawned:
	case <-ctx.Done():
		return late()
	}
	if c.process == nil {
		return c.err
	}
	n.mu.Lock()
	n.log = c.process.LogFile()
	n.mu.Unlock()
	body, err := wire.Marshal(n.identity())
	if err != nil {
		return err
	}
	_, err = c.process.Conn().Call(ctx, MethodAssign, body)
	if err != nil && ctx.Err() != nil {
		return late()
	}
	<-c.ready // the engine knows by now, or in a moment
	if c.err != nil {
		return c.err
	}
	if err != nil {
		f := diagnostics.Failure{Phase: diagnostics.PhaseHandshake, Op: "start a node", Err: err, Log: engine.LogTail(c.process)}
		if errors.Is(err, wire.ErrClosed) {
			<-c.node.Done()
			exit := c.node.Exit()
			f.Exit = &exit
		}
		return &engine.Error{Failure: f}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lives.Begin(c.node)
	n.inbox, n.used, n.env = c.inbox, c.used, c.env
	n.inbox.node.Store(n)
	return nil
}

func (n *binaryNode) identity() Identity {
	c := n.c
	id := Identity{
		Cluster: c.ID, Name: n.name, Index: n.index, Size: len(c.nodes), Dir: n.dir, Test: c.Test(), Debug: n.debugged(),
		Listen: make(map[string]string), Addrs: make(map[string][]string),
		Baseline: reusable(c.request.Requirement, c.request.Config),
	}
	if id.Life = len(n.lives.Past()); n.process() != nil {
		id.Life++
	}
	for _, port := range c.request.Requirement.Ports {
		id.Listen[port] = n.listenAddr(port)
		id.Addrs[port] = c.Addrs(port)
	}
	return id
}

// Addr implements Node.
func (n *binaryNode) Addr(port string) string { return n.c.addrs.Addr(n.index, port) }

// listenAddr is the address that the node itself binds: another one where a link
// has the one that others dial.
func (n *binaryNode) listenAddr(port string) string {
	if n.c.network != nil {
		return n.c.network.Listen(n.index, port)
	}
	return n.Addr(port)
}

// PID implements Node.
func (n *binaryNode) PID() int { return n.process().PID() }

func (n *binaryNode) process() engine.Node {
	p, _ := n.lives.Now()
	return p
}

// Running implements Node.
func (n *binaryNode) Running() bool {
	_, running := n.lives.Now()
	return running
}

// Log implements Node.
func (n *binaryNode) Log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log
}

// Used implements Node.
func (n *binaryNode) Used() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.used
}

// Call implements Node.
func (n *binaryNode) Call(ctx context.Context, op, method string, body []byte) ([]byte, error) {
	if n.c.Ended() {
		return nil, n.c.endedError()
	}
	p, call := n.enter(op, functionOf(method))
	if n.c.Ended() { // meanwhile: the node may be another test's, see reset
		n.leave(call)
		return nil, n.c.endedError()
	}
	n.c.watchCalls()
	guarded := n.c.m.guard()
	result, err := p.Conn().Call(ctx, method, body)
	<-guarded
	if err != nil && errors.Is(err, wire.ErrClosed) {
		result, err = nil, n.lost(ctx, p, op, err)
	}
	n.leave(call)
	n.recordCall(call, len(body)+len(result), err)
	return result, err
}

// lost finds out why the control channel has ended.
func (n *binaryNode) lost(ctx context.Context, p engine.Node, op string, cause error) error {
	select {
	case <-p.Done():
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Second):
		// It lives and does not listen to us: it is of no use, and nobody could
		// tell it to end.
		p.Kill()
	}
	n.lives.Tell(p)
	reason := n.lives.Asked()
	if n.process() != p {
		reason = "restarted by the test"
	}
	log := engine.LogTail(p)
	e := &LostError{Node: n.name, Op: op, Reason: reason, Exit: killed(p.Exit(), reason), At: time.Now(), Log: log[max(0, len(log)-tailLines):]}
	if reason == "" {
		f := diagnostics.Failure{Phase: diagnostics.PhaseCall, Op: op, Node: n.name, Err: cause, Exit: &e.Exit, Log: log, PID: p.PID(), Path: n.Log()}
		if errors.Is(cause, wire.ErrProtocol) {
			f.Code = diagnostics.NodeChannel
		}
		diagnostics.Gather(context.Background(), &f)
		e.Diagnosis = diagnostics.Diagnose(f)
		n.c.recordDiagnosis(n.name, e.Diagnosis)
	}
	return e
}

// spoil has the node serve no other test.
func (n *binaryNode) spoil() {
	n.mu.Lock()
	n.faulted = true
	n.mu.Unlock()
}

// expect notes that the process is going to end because the test wants it to.
func (n *binaryNode) expect(reason string) (p engine.Node, running bool) {
	n.spoil()
	return n.lives.Expect(reason)
}

// Kill implements Node.
func (n *binaryNode) Kill() error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if n.c.Ended() {
		return fmt.Errorf("kill %s: %w", n.name, n.c.endedError())
	}
	n.undebug() // a killed process is gone when its debugger has seen it
	p, _ := n.expect(killedByTest)
	if n.c.request.CoverDir != "" {
		n.exitNow(p)
	}
	return p.Kill()
}

// Pause implements Node.
func (n *binaryNode) Pause() error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if n.c.Ended() { // its process may serve another test by now
		return fmt.Errorf("pause %s: %w", n.name, n.c.endedError())
	}
	if n.debugged() {
		return fmt.Errorf("pause %s: it is being debugged, and stops when its debugger says so", n.name)
	}
	p := n.process()
	if err := p.Pause(); err != nil {
		return n.gone("pause", err)
	}
	n.lives.SetPaused(true)
	n.spoil()
	return nil
}

// Resume implements Node.
func (n *binaryNode) Resume() error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if n.c.Ended() {
		return fmt.Errorf("resume %s: %w", n.name, n.c.endedError())
	}
	return n.resume()
}

func (n *binaryNode) resume() error {
	if err := n.process().Resume(); err != nil {
		return n.gone("resume", err)
	}
	n.lives.SetPaused(false)
	return nil
}

func (n *binaryNode) gone(what string, err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		reason := n.lives.Asked()
		if reason == "" { // nobody here has ended it
			return n.lost(context.Background(), n.process(), what+" "+n.name, err)
		}
		return fmt.Errorf("%s %s: the node is not running: %s", what, n.name, reason)
	}
	return fmt.Errorf("%s %s: %w", what, n.name, err)
}

// Stop implements Node. The node's cleanups run and its coverage is
// written.
func (n *binaryNode) Stop(ctx context.Context) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if n.c.Ended() {
		return fmt.Errorf("stop %s: %w", n.name, n.c.endedError())
	}
	return n.stop(ctx, "stopped by the test")
}

func (n *binaryNode) stop(ctx context.Context, reason string) error {
	p, running := n.expect(reason)
	if !running {
		n.account(p, "it was "+reason+" afterwards")
		return nil
	}
	if n.lives.Paused() {
		n.resume()
	}
	return n.shutDown(ctx, p, nil)
}

// lookTime is what the end of a process has to be noticed after its time is up:
// it may have been this process that was stopped (^Z), or slow, and not the node.
const lookTime = 2 * time.Second

// shutDown asks a process to end and sees that it does. Errors of the node's
// cleanups, and a bad exit status, are noted as problems: they belong to
// whatever used the node. explain, if not nil, is asked why a process did not
// end, while it still is there.
func (n *binaryNode) shutDown(ctx context.Context, p engine.Node, explain func(engine.Node, error) error) error {
	body, unanswered := p.Conn().Call(ctx, MethodStop, nil)
	if unanswered == nil {
		if report, err := wire.Unmarshal[EndReport](body); err == nil {
			n.reportErrors(&report)
		}
		p.Conn().Close() // a node whose calls do not return waits for that
	}
	defer n.undebug()
	select {
	case <-p.Done():
	case <-ctx.Done():
		n.undebug()
		select {
		case <-p.Done():
		case <-time.After(lookTime):
			err := fmt.Errorf("stop %s: it did not end in time and was killed: %w", n.name, ctx.Err())
			if explain != nil {
				err = explain(p, err)
			}
			p.Kill()
			return err
		}
	}
	n.examine(p, true)
	// Nobody here has killed it: it had just gone when it was asked to, or an os.Exit
	// in a cleanup has ended it.
	switch exit := p.Exit(); {
	case n.lives.Told(), RaceEnabled && engine.RaceReport(n.Log(), 0) != nil:
	case exit.Signal != "":
		n.unnoticed(p)
	case exit.Code == 0 && unanswered != nil && ctx.Err() == nil:
		n.unnoticed(p, "it was asked to end, and did so before all of its cleanups had run")
	}
	return nil
}

// reportErrors notes cleanups that panicked.
func (n *binaryNode) reportErrors(r *EndReport) {
	for _, text := range r.Errors {
		n.problem(diagnostics.Failure{Phase: diagnostics.PhaseStop, Code: diagnostics.NodePanic, Err: errors.New(text)}, true)
	}
}

func (n *binaryNode) problem(f diagnostics.Failure, fails bool) {
	f.Node = n.name
	if f.Op == "" {
		f.Op = "end " + n.name
		if n.c != nil {
			f.Op += " after " + n.c.request.Test
		}
	}
	if p := n.process(); f.Log == nil && p != nil {
		f.Log = engine.LogTail(p)
	}
	diagnostics.Gather(context.Background(), &f)
	d := diagnostics.Diagnose(f)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.problems = append(n.problems, Problem{Node: n.name, Diagnosis: d, Fails: fails})
}

// raceExit is the status the race detector gives a process it found a race in.
const raceExit = 66

// examine looks at how a process has ended. asked: it was told to, so that
// status 0 is right.
func (n *binaryNode) examine(p engine.Node, asked bool) {
	exit := p.Exit()
	f := diagnostics.Failure{Phase: diagnostics.PhaseStop, Exit: &exit, PID: p.PID()}
	switch {
	case RaceEnabled && (exit.Code == raceExit || exit.Signal != "" && engine.RaceReport(n.Log(), 0) != nil):
		f.Phase = diagnostics.PhaseCall
		f.Code = diagnostics.NodeRace
		f.Log = engine.RaceReport(n.Log(), 0)
		n.problem(f, true)
	case asked && exit.Code != 0 && exit.Signal == "":
		f.Phase = diagnostics.PhaseCall
		n.problem(f, true)
	}
}

// Restart implements Node.
func (n *binaryNode) Restart(ctx context.Context) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if n.c.Ended() {
		return fmt.Errorf("restart %s: %w", n.name, n.c.endedError())
	}
	if err := n.stop(ctx, "restarted by the test"); err != nil {
		return fmt.Errorf("restart %s: %w", n.name, err)
	}
	timeout := n.c.request.Config.StartTimeout()
	callers := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pool := &n.c.m.pool
	in := newInbox()
	began := time.Now()
	p, err := pool.engine.Start(ctx, engine.Spec{Env: pool.env(), Log: n.Log(), Handler: in.handle, Ended: in.ended, Host: n.c.network.Host(n.index)})
	if err == nil {
		c := there(p, in)
		c.began, c.answered = began, time.Now()
		if err = n.adopt(ctx, c); err != nil {
			p.Kill()
		}
	}
	if err == nil && n.debugged() {
		return n.debug(ctx)
	}
	if err != nil {
		f := diagnostics.Failure{Phase: diagnostics.PhaseExec, Err: err}
		if e := (*engine.Error)(nil); errors.As(err, &e) {
			f = e.Failure
		}
		f.Op, f.Node = "restart "+n.name, n.name
		if callers.Err() == nil {
			f.Limit = timeout
		}
		diagnostics.Gather(context.Background(), &f)
		return diagnostics.Diagnose(f)
	}
	return nil
}

// RestartAs implements Node.
func (n *binaryNode) RestartAs(_ context.Context, program string) error {
	return fmt.Errorf("restart %s as %s: it runs the test binary, and is told what to do by calls: nodes of a program can be restarted as another (program= in the directive, or dist.Program)", n.name, program)
}

// ping returns nil if the node answers before ctx ends.
func (n *binaryNode) ping(ctx context.Context) error {
	paused := n.lives.Paused()
	_, err := n.Call(ctx, "ask "+n.name+" whether it is healthy", MethodPing, nil)
	if err != nil && paused && ctx.Err() != nil {
		return fmt.Errorf("%s is paused: %w", n.name, err)
	}
	return err
}

// end is the end of the node's lease, or of the run: a process that runs is
// stopped, and whatever went wrong with it is noted.
func (n *binaryNode) end(ctx context.Context) {
	n.acting.Lock()
	defer n.acting.Unlock()
	p, running := n.lives.Now()
	if p == nil {
		return
	}
	defer n.undebug()
	if !running {
		n.account(p)
		return
	}
	if n.lives.Paused() {
		n.resume()
	}
	n.lives.Expect("its lease has ended")
	if err := n.shutDown(ctx, p, n.explain); err != nil {
		n.noteHung(err)
	}
}

// account notes what there is to say of a process that had ended when it was to
// be ended, and what has become of the node since.
func (n *binaryNode) account(p engine.Node, since ...string) {
	exit, asked := p.Exit(), n.lives.Asked()
	switch race := RaceEnabled && exit.Code == raceExit; {
	case n.lives.Unheard() != nil && !race:
		n.unnoticed(p, since...)
	case asked == "", asked == killedByTest, exit.Signal != "": // stopped ones were examined then
		n.examine(p, false)
	}
}

// unnoticed notes that a process has ended by itself and the test does not know.
func (n *binaryNode) unnoticed(p engine.Node, since ...string) {
	exit := p.Exit()
	n.problem(diagnostics.Failure{Phase: diagnostics.PhaseStop, Code: diagnostics.NodeExitUnnoticed, Exit: &exit, PID: p.PID(), Details: since}, true)
}

// reset ends the lease on a node that is to stay, and reports whether it may.
func (n *binaryNode) reset(ctx context.Context) bool {
	n.acting.Lock()
	defer n.acting.Unlock()
	n.mu.Lock()
	faulted := n.faulted
	n.mu.Unlock()
	p, running := n.lives.Now()
	if faulted || !running {
		return false
	}
	body, err := p.Conn().Call(ctx, MethodReset, nil)
	if err != nil {
		return false
	}
	report, err := wire.Unmarshal[EndReport](body)
	if err != nil {
		return false
	}
	n.reportErrors(&report)
	if report.Clean() { // but for what is only about to reach the node
		n.mu.Lock()
		for c := range n.pending {
			report.Goroutines = append(report.Goroutines, "to "+c.Op+", for which the test did not wait")
		}
		n.mu.Unlock()
	}
	left := func(code diagnostics.Code, what []string) {
		if len(what) > 0 {
			n.problem(diagnostics.Failure{Phase: diagnostics.PhaseStop, Code: code, Details: what, PID: p.PID()}, false)
		}
	}
	left(diagnostics.LeftGoroutine, report.Goroutines)
	left(diagnostics.LeftListener, report.Listeners)
	left(diagnostics.LeftChild, report.Children)
	if RaceEnabled && engine.RaceReport(n.Log(), 0) != nil {
		return false // its exit status says so, too, as long as somebody listens
	}
	return report.Clean()
}
