package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network/namespaces"
	"github.com/distkit/dist/runtime/program"
)

// tailLines is how much of a node's log is shown with a test that failed.
const tailLines = 40

// A member is one node of a cluster. It keeps its name, addresses, directory
// and log while processes come and go.
type member struct {
	c    *cluster
	own  program.Spec // of the cluster's program
	name string
	dir  string

	// acting serialises what changes the process.
	acting sync.Mutex
	gone   bool // its cluster has ended: nothing is started any more; under acting

	lives engine.Lives // those that have become ready

	mu       sync.Mutex
	coming   engine.Node          // the process that was started last, ready or not
	as       *program.Spec        // of another program that it has been restarted as; nil: it is own
	problems map[*lease][]Problem // of the leases that there are
}

func newMember(c *cluster, a *Ask, exe *program.Executable, v config.View, index int, host *namespaces.Host) *member {
	v.Index = index
	n := v.Nodes[index]
	return &member{
		c: c, name: n.Name, dir: n.Dir, problems: make(map[*lease][]Problem),
		own: program.Spec{
			Program: a.Program, Executable: exe, View: v, Env: a.Env,
			Log: filepath.Join(c.dir, n.Name+".log"), Ready: a.Ready, Grace: a.Grace, Host: host,
		},
	}
}

// spec is what the node runs now.
func (n *member) spec() program.Spec {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.as != nil {
		return *n.as
	}
	return n.own
}

// pid is that of the process there is, ready or not; 0 if there is none.
func (n *member) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.coming == nil || !engine.Alive(n.coming) {
		return 0
	}
	return n.coming.PID()
}

// start starts a process, where none runs, and returns when it is ready.
func (n *member) start(ctx context.Context) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	return n.startLocked(ctx)
}

func (n *member) startLocked(ctx context.Context) error {
	if n.gone {
		return &engine.Error{Failure: diagnostics.Failure{
			Phase: diagnostics.PhasePrepare, Code: diagnostics.ClusterGone, Op: "start " + n.name, Node: n.name, Name: n.c.id,
			Err: errRetired,
		}}
	}
	if p := n.lives.Unheard(); p != nil {
		n.problem(unnoticed("stop "+n.name, p, "it was started again afterwards"))
	}
	spec := n.spec()
	spec.Spawned = func(p engine.Node) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.coming = p
	}
	p, err := program.Start(ctx, n.c.k.engine, spec)
	if err != nil {
		if e, ok := errors.AsType[*engine.Error](err); ok && e.Node == "" {
			e.Node = n.name
		}
		return err
	}
	n.lives.Begin(p)
	return nil
}

// stop ends the process, as its program says it is to be ended.
func (n *member) stop(ctx context.Context, reason string) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	return n.stopLocked(ctx, reason)
}

// discardGrace is how long a process may take to stop whose data are thrown
// away: servers wait for each other here, and nothing comes of it.
const discardGrace = 500 * time.Millisecond

// discard ends the process, before the node's data are emptied. One with
// coverage to write gets the time it needs.
func (n *member) discard(ctx context.Context) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	defer func() { // what it has been restarted as goes with its data
		n.mu.Lock()
		n.as = nil
		n.mu.Unlock()
	}()
	p, running := n.lives.Expect("stopped: its cluster begins anew")
	if !running {
		return nil
	}
	n.resumeLocked()
	spec := n.spec()
	if !n.c.ask.Flags.Has("-cover") && (spec.Grace <= 0 || spec.Grace > discardGrace) {
		spec.Grace = discardGrace
	}
	_, err := program.Stop(ctx, spec, p)
	return err
}

// end is stop for the last time.
func (n *member) end(ctx context.Context) {
	n.acting.Lock()
	defer n.acting.Unlock()
	n.gone = true
	n.stopLocked(ctx, "stopped: its cluster has ended")
}

func (n *member) stopLocked(ctx context.Context, reason string) error {
	p, running := n.lives.Expect(reason)
	if !running {
		return nil
	}
	ended := errors.Is(n.resumeLocked(), os.ErrProcessDone) // just now
	killed, err := program.Stop(ctx, n.spec(), p)
	switch {
	case err != nil:
	case ended, !killed && p.Exit().Signal == "killed" && n.spec().Program.Stop.Signal != "SIGKILL": // which nobody here has sent
		n.problem(unnoticed("stop "+n.name, p))
	case killed && ctx.Err() == nil:
		n.problem(diagnostics.Failure{
			Phase: diagnostics.PhaseStop, Code: diagnostics.ProgramStop, Op: "stop " + n.name, Name: n.spec().Program.Name,
			Limit: n.spec().Grace, PID: p.PID(), Log: engine.LogTail(p),
		}, false)
	}
	return err
}

// resumeLocked has a process run on, whoever has stopped it: not all signals
// are ours, and whether it is stopped would cost more to find out.
func (n *member) resumeLocked() error {
	p, _ := n.lives.Now()
	n.lives.SetPaused(false)
	return p.Resume()
}

// restart is stop and start.
func (n *member) restart(ctx context.Context, reason string) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if err := n.stopLocked(ctx, reason); err != nil {
		return err
	}
	return n.startLocked(ctx)
}

// restartAs is restart as another program. What cannot be done is found out
// before the node is stopped.
func (n *member) restartAs(ctx context.Context, a *Ask) ([]string, error) {
	if err := n.admits(a.Program); err != nil {
		return nil, err
	}
	exe, err := n.c.k.build(ctx, a)
	if err != nil {
		return nil, err
	}
	n.acting.Lock()
	defer n.acting.Unlock()
	if err := n.stopLocked(ctx, "restarted by the test as "+a.Program.Name); err != nil {
		return nil, err
	}
	as := n.own
	as.Program, as.Executable, as.Ready, as.Grace = a.Program, exe, a.Ready, a.Grace
	n.mu.Lock()
	before := n.as
	n.as = &as
	n.mu.Unlock()
	err = n.startLocked(ctx)
	if err != nil { // a Restart is to start what did run
		n.mu.Lock()
		n.as = before
		n.mu.Unlock()
	}
	return exe.Inputs, err
}

// admits says why a program cannot take the place of the node's.
func (n *member) admits(p *config.Program) error {
	var missing, more []string
	for _, port := range n.own.Program.Ports {
		if !slices.Contains(p.Ports, port) {
			missing = append(missing, port)
		}
	}
	for _, port := range p.Ports {
		if !slices.Contains(n.own.Program.Ports, port) {
			more = append(more, port)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("program %s does not have the ports %s of %s, under which the node is known: add them to ports in [program.%s]", p.Name, strings.Join(missing, ", "), n.own.Program.Name, p.Name)
	case len(more) > 0:
		return fmt.Errorf("program %s has the ports %s, for which a node of %s has no addresses: add them to ports in [program.%s], too", p.Name, strings.Join(more, ", "), n.own.Program.Name, n.own.Program.Name)
	}
	return nil
}

// revert has the node run its cluster's program again, where it runs another;
// n.acting is held. Nothing runs when it returns, if it did anything.
func (n *member) revert(ctx context.Context) error {
	n.mu.Lock()
	other := n.as != nil
	n.mu.Unlock()
	if !other {
		return nil
	}
	if err := n.stopLocked(ctx, "stopped: its cluster runs "+n.own.Program.Name); err != nil {
		return err
	}
	n.mu.Lock()
	n.as = nil
	n.mu.Unlock()
	return nil
}

// restore makes a node run that does not, for whatever reason, and run what is
// its cluster's.
func (n *member) restore(ctx context.Context) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if err := n.revert(ctx); err != nil {
		return err
	}
	if p, running := n.lives.Now(); running {
		err := n.resumeLocked()
		if !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		<-p.Done() // just now
	}
	return n.startLocked(ctx)
}

// health tries the node once.
func (n *member) health(ctx context.Context) error {
	op := "ask " + n.name + " whether it is healthy"
	p, running := n.lives.Now()
	switch {
	case !running:
		return n.lost(op)
	case n.lives.Paused():
		return fmt.Errorf("%s is paused", n.name)
	}
	err := program.Healthy(ctx, n.c.k.engine, n.spec(), p)
	if err != nil && !engine.Alive(p) {
		return n.lost(op)
	}
	return err
}

// lost says why nothing can be asked of a process that has ended.
func (n *member) lost(op string) error {
	p, _ := n.lives.Now()
	if p == nil {
		return errors.New("the node has not been started")
	}
	if reason := n.lives.Asked(); reason != "" {
		return fmt.Errorf("the node is not running: %s", reason)
	}
	exit := p.Exit()
	return &engine.Error{Failure: diagnostics.Failure{
		Phase: diagnostics.PhaseCall, Op: op, Node: n.name, Name: n.spec().Program.Name, Exit: &exit, PID: p.PID(),
		Path: n.own.Log, Log: engine.LogTail(p),
	}}
}

// heard notes that the holder of a lease knows of the end of a process, if it
// has ended. Of several who share the node the others do not, and for none of them
// is it over once another one has had the node started again.
func (n *member) heard() {
	if n.isShared() {
		if p := n.lives.Unheard(); p != nil {
			n.problem(unnoticed("use "+n.name, p))
		}
	}
	if p, running := n.lives.Now(); !running {
		n.lives.Tell(p)
	}
}

func (n *member) isShared() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.problems {
		if l.shared {
			return true
		}
	}
	return false
}

// act is what the holder of a lease wants done.
func (n *member) act(ctx context.Context, a Action) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	switch a {
	case Kill:
		if p, running := n.lives.Expect("killed by the test"); running {
			return p.Kill()
		}
		return nil
	case Stop:
		if err := n.stopLocked(ctx, "stopped by the test"); err != nil {
			return err
		}
		return ctx.Err()
	case Restart:
		if err := n.stopLocked(ctx, "restarted by the test"); err != nil {
			return err
		}
		return n.startLocked(ctx)
	case Pause, Resume:
		op := string(a) + " " + n.name
		p, running := n.lives.Now()
		if !running {
			n.heard()
			return n.lost(op)
		}
		signal := p.Pause
		if a == Resume {
			signal = p.Resume
		}
		err := signal()
		if errors.Is(err, os.ErrProcessDone) { // just now
			<-p.Done()
			n.heard()
			return n.lost(op)
		}
		if err != nil {
			return err
		}
		n.lives.SetPaused(a == Pause)
		return nil
	}
	return fmt.Errorf("unknown action %q", a)
}

// state is what the node is doing. Whoever asks has been told.
func (n *member) state() State {
	s := State{}
	n.mu.Lock()
	if n.as != nil {
		s.As = n.as.Program.Name
	}
	n.mu.Unlock()
	p, running := n.lives.Now()
	if p == nil {
		s.Reason = "it has not been started"
		return s
	}
	s.PID, s.Up, s.Paused = p.PID(), running, running && n.lives.Paused()
	if !running {
		if s.Reason = n.lives.Asked(); s.Reason == "" {
			exit := p.Exit()
			s.Reason = exit.String()
		}
	}
	return s
}

// notice is state for the holder of a lease: an end that it sees is no surprise
// to it any more.
func (n *member) notice() State {
	s := n.state()
	if !s.Up {
		n.heard()
	}
	return s
}

func (n *member) info() NodeInfo {
	return NodeInfo{Name: n.name, Addr: n.own.View.Nodes[n.own.View.Index].Addr, Dir: n.dir, Log: n.own.Log, State: n.state()}
}

// clear empties the node's directory and log, where no process runs.
func (n *member) clear() error {
	if err := fresh(n.dir); err != nil {
		return prepareError("empty the directory of "+n.name, n.dir, err)
	}
	if err := os.Truncate(n.own.Log, 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return prepareError("empty the log of "+n.name, n.own.Log, err)
	}
	return nil
}

func (n *member) remove() {
	removeAll(n.dir)
	os.Remove(n.own.Log)
}

// removeAll tries more than once: a process that is just dying may still write.
func removeAll(dir string) {
	for range 5 {
		if os.RemoveAll(dir) == nil {
			return
		}
	}
}

// begin is the beginning of a lease: an end from now on is for its holder to
// see.
func (n *member) begin(l *lease) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p, running := n.lives.Now(); len(n.problems) == 0 && !running {
		n.lives.Tell(p)
	}
	n.problems[l] = nil
}

// witness waits for the end of a process that is just ending: the kernel closes
// its ports a moment before it tells how it has ended.
func (n *member) witness(ctx context.Context) {
	p, running := n.lives.Now()
	if !running || n.lives.Paused() || len(n.spec().Program.Ready.Exec) > 0 { // a command is too much for a look
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if err := program.Healthy(ctx, n.c.k.engine, n.spec(), p); errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
		select {
		case <-p.Done():
		case <-ctx.Done():
		}
	}
}

// unnoticed is that a process has ended by itself, and nobody knows.
func unnoticed(op string, p engine.Node, since ...string) (f diagnostics.Failure, fails bool) {
	exit := p.Exit()
	return diagnostics.Failure{
		Phase: diagnostics.PhaseStop, Code: diagnostics.NodeExitUnnoticed, Op: op, Exit: &exit, PID: p.PID(), Details: since,
		Log: engine.LogTail(p),
	}, exit.Code != 0
}

// settle is the end of a lease: what went wrong on the node that its holder did
// not see. mark is where its log was when the lease began.
func (n *member) settle(l *lease, mark int64) []Problem {
	op := "end the lease of " + n.name + " by " + l.who
	var found []Problem
	if n.isShared() {
		n.heard()
	} else if p := n.lives.Unheard(); p != nil {
		found = append(found, n.diagnose(unnoticed(op, p)))
	}
	if n.c.ask.Flags.Has("-race") {
		if report := engine.RaceReport(n.own.Log, mark); report != nil {
			found = append(found, n.diagnose(diagnostics.Failure{Phase: diagnostics.PhaseCall, Code: diagnostics.NodeRace, Op: op, Log: report}, true))
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	found = append(n.problems[l], found...)
	delete(n.problems, l)
	return found
}

// problem tells all who have the node of something that went wrong on it.
func (n *member) problem(f diagnostics.Failure, fails bool) {
	p := n.diagnose(f, fails)
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.problems {
		n.problems[l] = append(n.problems[l], p)
	}
}

func (n *member) diagnose(f diagnostics.Failure, fails bool) Problem {
	f.Node = n.name
	diagnostics.Gather(context.Background(), &f)
	return Problem{Node: n.name, Diagnosis: diagnostics.Diagnose(f), Fails: fails}
}
