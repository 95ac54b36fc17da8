package manager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/manager/keeper"
	"github.com/distkit/dist/runtime/program"
)

// A programCluster is a cluster whose nodes run a program. Its owner has the
// nodes, and does to them what the test wants done.
type programCluster struct {
	*Lease
	m    *Manager
	held keeper.Lease
	info keeper.Info
	own  bool // the cluster is this test binary's
}

// ask is what a Request for a program's cluster comes to.
func (m *Manager) ask(r Request, size int, timeout time.Duration) keeper.Ask {
	p := r.Config.Programs[r.Requirement.Program]
	return keeper.Ask{
		Who: r.who(), Program: p, Dir: filepath.Dir(r.Config.File), Flags: r.Flags,
		Nodes: size, Shared: r.Requirement.Shared, Network: r.Config.Network, Faults: r.Faults, Env: m.envOf(),
		Start: timeout, AtOnce: r.Config.Resources.MaxNodesOnMachine, Ready: r.Config.ReadyTimeout(p.Ready), Grace: r.Config.Grace(p.Stop),
		Announce: r.Announce,
	}
}

// find finds out who would lease such a cluster: nobody else if it is to be
// fresh in every respect, if the test has changed the environment that its nodes
// are to have, or if it may inject network faults, which only an owner can.
func (m *Manager) find(ctx context.Context, s Situation, r Request) (keeper.Found, error) {
	if r.Config.Programs[r.Requirement.Program] == nil || r.Config.Cluster.Reuse == "never" || fingerprint(m.env()) != m.envAt || r.Faults {
		return keeper.Found{}, nil
	}
	whatever := *r.Config
	whatever.Cluster.Mode = "auto" // for its size, which is not decided where it cannot be started
	s.Config = &whatever
	size := Decide(s).Nodes
	if size == 0 {
		return keeper.Found{}, nil
	}
	ask := m.ask(r, size, r.Config.StartTimeout())
	covered := ask.Flags.Has("-cover")
	// Whoever has a cluster up wants it used, and its lines not counted.
	ask.Flags.Args = slices.DeleteFunc(slices.Clone(ask.Flags.Args), func(arg string) bool {
		return arg == "-cover" || strings.HasPrefix(arg, "-covermode=")
	})
	found, err := m.finder.Find(ctx, ask)
	if covered && found.Ask.Cluster == "" {
		found.Owner = nil // lines count if the nodes end before the tests of this binary do
	}
	return found, err
}

// touch has Go's test cache know what a program is made of, where a test is
// skipped for want of a cluster of it: to the cache, that is a test that passed.
func (m *Manager) touch(ctx context.Context, r Request) {
	p := r.Config.Programs[r.Requirement.Program]
	if skip, _ := skips(r.Requirement, r.Config); !skip || p == nil {
		return
	}
	a := m.ask(r, 1, 0)
	if x, _ := program.Build(ctx, p, program.Options{Dir: a.Dir, Env: a.Env, Flags: a.Flags, Root: m.engine.Root}); x != nil {
		program.Touch(x.Inputs)
	}
}

// who is what others are told of a test that has what they wait for.
func (r *Request) who() string {
	if r.Package == "" {
		return r.Test
	}
	return r.Test + " of " + r.Package
}

// leaseProgram is an attempt at a cluster of a program.
func (m *Manager) leaseProgram(found keeper.Found) attempt {
	return func(ctx context.Context, r Request, d Decision, size int, timeout time.Duration) (*Lease, int, error) {
		l, failed, err := m.leaseFrom(ctx, r, d, found, size, timeout)
		if codeOf(err) == diagnostics.ClusterGone && r.Config.Cluster.Mode != "manual" {
			// Its owner has ended since it was found: the next try is with another.
			if _, again, err := m.decide(ctx, r); err == nil {
				found = again
			}
		}
		return l, failed, err
	}
}

// codeOf is what an error has been diagnosed as, or says that it is.
func codeOf(err error) diagnostics.Code {
	if d := (*diagnostics.Diagnosis)(nil); errors.As(err, &d) {
		return d.Code
	}
	if e := (*engine.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (m *Manager) leaseFrom(ctx context.Context, r Request, d Decision, found keeper.Found, size int, timeout time.Duration) (_ *Lease, failed int, err error) {
	owner, ask := found.Owner, m.ask(r, size, timeout)
	if owner == nil {
		owner = m.ownKeeper()
	}
	if found.Ask.Cluster != "" {
		ask.Cluster, ask.Flags = found.Ask.Cluster, found.Ask.Flags
	}
	held, err := owner.Lease(ctx, ask)
	if err != nil {
		failed = size
		if e := (*engine.Error)(nil); errors.As(err, &e) && diagnostics.Diagnose(e.Failure).Reduce {
			failed = 1 // fewer may do
		}
		return nil, failed, err
	}
	info := held.Info()
	program.Touch(info.Inputs)
	l := &Lease{ID: info.ID, request: r, Decision: d}
	if info.Reused && d.Action == Start {
		l.Decision.Action = Reuse
		l.Decision.Reason = fmt.Sprintf("up for %v, from an earlier test", time.Since(info.Started).Round(time.Millisecond))
	}
	c := &programCluster{Lease: l, m: m, held: held, info: info, own: found.Owner == nil}
	l.cluster = c
	if f, err := c.faults(); err == nil {
		l.Decision.Reason += fmt.Sprintf("; network faults by %v", f)
	}
	for i := range info.Nodes {
		l.Nodes = append(l.Nodes, &programNode{c: c, index: i})
	}
	c.recordStart()
	return l, 0, nil
}

// release implements cluster. What stays is the owner's to decide, but for the
// clusters that this test binary owns itself.
func (c *programCluster) release(ctx context.Context, keep bool, wantLogs func(problems bool) bool) Report {
	var r Report
	for _, n := range c.info.Nodes {
		c.m.logs.Finish(n.Log)
	}
	if f, err := c.faults(); err == nil {
		if err := f.Set(nil); err != nil {
			r.Notes = append(r.Notes, "network faults by "+f.Backend()+": "+err.Error())
		}
	}
	uncovered := c.uncovered()
	ended, err := c.held.Release(ctx)
	if err != nil {
		r.Problems = append(r.Problems, Problem{Diagnosis: diagnose(diagnostics.Failure{Phase: diagnostics.PhaseStop, Err: err}, "give back cluster "+c.ID), Fails: true})
	}
	for _, p := range ended.Problems {
		r.Problems = append(r.Problems, Problem{Node: p.Node, Diagnosis: p.Diagnosis, Fails: p.Fails})
	}
	r.Left = ended.Left
	if !c.own {
		r.Lost = uncovered
	}
	if wantLogs(len(r.Problems) > 0) {
		r.Logs = ended.Logs
		for name, lines := range r.Logs {
			r.Logs[name] = lines[max(len(lines)-shownLines, 0):]
		}
	}
	if c.own && (!keep || c.request.Config.Cluster.Reuse == "never") {
		all := c.covering()
		c.m.ownKeeper().Retire(ctx, func(i keeper.Info) bool { return i.ID == c.ID })
		r.Lost = c.uncounted(all)
	}
	return r
}

// health implements cluster.
func (c *programCluster) health(ctx context.Context) []error {
	errs := untilHealthy(ctx, len(c.Nodes), c.held.Health)
	for i, err := range errs {
		name := c.Nodes[i].Name()
		if d := diagnosed(err, "ask "+name+" whether it is healthy"); d != nil {
			c.recordDiagnosis(name, d)
			errs[i] = d
		}
	}
	return errs
}

// untilHealthy tries all of a cluster until every node is healthy or ctx ends.
func untilHealthy(ctx context.Context, size int, try func(context.Context) ([]error, error)) []error {
	var last []error
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		errs, err := try(ctx)
		// Connections notice the end before the context does.
		deadline, limited := ctx.Deadline()
		over := ctx.Err() != nil || limited && !time.Now().Before(deadline)
		if last != nil && over && (err != nil || errors.Join(errs...) != nil) {
			return last // an answer that was cut off says less than the one before it
		}
		if err != nil {
			errs = make([]error, size)
			for i := range errs {
				errs[i] = err
			}
			return errs
		}
		if errors.Join(errs...) == nil {
			return errs
		}
		last = errs
		select {
		case <-ctx.Done():
			return errs
		case <-time.After(pause):
		}
	}
}

// diagnose is a failure as its diagnosis; one that is in it already stays what
// it is.
func diagnose(f diagnostics.Failure, op string) *diagnostics.Diagnosis {
	if e := (*engine.Error)(nil); errors.As(f.Err, &e) {
		limit := f.Limit
		f = e.Failure
		f.Limit = max(f.Limit, limit)
	}
	f.Op = op
	diagnostics.Gather(context.Background(), &f)
	return diagnostics.Diagnose(f)
}

// A programNode is a node of a programCluster.
type programNode struct {
	c     *programCluster
	index int
}

func (n *programNode) info() keeper.NodeInfo { return n.c.info.Nodes[n.index] }

// Name implements Node.
func (n *programNode) Name() string { return n.info().Name }

// Index implements Node.
func (n *programNode) Index() int { return n.index }

// Addr implements Node.
func (n *programNode) Addr(port string) string { return n.info().Addr[port] }

// Dir implements Node.
func (n *programNode) Dir() (string, error) { return n.info().Dir, nil }

// Log implements Node.
func (n *programNode) Log() string { return n.info().Log }

// Used implements Node.
func (n *programNode) Used() bool { return n.c.info.Reused }

// stateTimeout bounds questions that an owner answers at once.
const stateTimeout = 10 * time.Second

// state is what the node is doing, or was when its lease began if nobody can say.
func (n *programNode) state() keeper.State {
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	if s, err := n.c.held.State(ctx, n.index); err == nil {
		return s
	}
	return keeper.State{PID: n.info().PID}
}

// PID implements Node.
func (n *programNode) PID() int { return n.state().PID }

// Running implements Node.
func (n *programNode) Running() bool { return n.state().Up }

// Call implements Node.
func (n *programNode) Call(_ context.Context, op, _ string, _ []byte) ([]byte, error) {
	return nil, noFunctions(n.Name(), "runs program "+n.c.info.Program)
}

func noFunctions(node, why string) error {
	return fmt.Errorf("%s %s: functions run on nodes of the test binary only", node, why)
}

// act has the owner do something to the node.
func (n *programNode) act(ctx context.Context, a keeper.Action) error {
	op := fmt.Sprintf("%s %s", a, n.Name())
	if n.c.Ended() {
		return fmt.Errorf("%s: %w", op, n.c.endedError())
	}
	_, err := n.c.held.Act(ctx, n.index, a)
	return n.failed(op, err)
}

// failed is an error of the owner's as the test is told it; nil for nil.
func (n *programNode) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	d := diagnosed(err, op)
	if d == nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	n.c.recordDiagnosis(n.Name(), d)
	return d
}

// diagnosed is the diagnosis that an error of an owner is, or comes to; nil if
// there is none.
func diagnosed(err error, op string) *diagnostics.Diagnosis {
	if e := (*engine.Error)(nil); errors.As(err, &e) {
		return diagnose(diagnostics.Failure{Err: err}, op)
	}
	d := (*diagnostics.Diagnosis)(nil) // by another process
	errors.As(err, &d)
	return d
}

// Kill implements Node.
func (n *programNode) Kill() error { return n.act(context.Background(), keeper.Kill) }

// Stop implements Node.
func (n *programNode) Stop(ctx context.Context) error { return n.act(ctx, keeper.Stop) }

// Restart implements Node.
func (n *programNode) Restart(ctx context.Context) error { return n.act(ctx, keeper.Restart) }

// RestartAs implements Node.
func (n *programNode) RestartAs(ctx context.Context, name string) error {
	op := fmt.Sprintf("restart %s as %s", n.Name(), name)
	if n.c.Ended() {
		return fmt.Errorf("%s: %w", op, n.c.endedError())
	}
	r := n.c.request
	p := r.Config.Programs[name]
	if p == nil {
		return fmt.Errorf("%s: %s has no [program.%s]; it has %s", op, r.Config.File, name, strings.Join(slices.Sorted(maps.Keys(r.Config.Programs)), ", "))
	}
	_, inputs, err := n.c.held.RestartAs(ctx, n.index, keeper.Ask{
		Program: p, Dir: filepath.Dir(r.Config.File), Ready: r.Config.ReadyTimeout(p.Ready), Grace: r.Config.Grace(p.Stop),
	})
	program.Touch(inputs)
	return n.failed(op, err)
}

// Pause implements Node.
func (n *programNode) Pause() error { return n.act(context.Background(), keeper.Pause) }

// Resume implements Node.
func (n *programNode) Resume() error { return n.act(context.Background(), keeper.Resume) }
