package manager

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/events"
	"github.com/distkit/dist/runtime/manager/allowance"
	"github.com/distkit/dist/runtime/manager/keeper"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/program"
)

// A Manager has the clusters of one test binary. It is safe for concurrent use.
type Manager struct {
	engine engine.Engine
	env    func() []string // of nodes
	envOf  func() []string // of programs
	envAt  uint64          // fingerprint of it when the run began
	pool   pool
	room   *allowance.Allowance // of this machine, over all test binaries; nil: somebody else has asked for us
	seq    atomic.Int64

	guardOnce sync.Once
	guarded   chan struct{}    // closed when what nodes do is guarded
	events    *events.Recorder // of what becomes of clusters; nil: nobody wants to know
	logs      *events.Logs     // of what nodes print; nil likewise

	mu      sync.Mutex
	network *network.Allocator
	netConf [2]string      // what network was made of
	keeper  *keeper.Keeper // of programs' clusters; nil until one is asked for
	finder  keeper.Finder  // of those that others own
	stats   Stats
	starts  []time.Duration
}

// Stats counts what a Manager has done.
type Stats struct {
	Leases   int // clusters leased to tests
	Started  int // nodes that were started for a lease, ahead of time or not
	Reused   int // nodes that had served an earlier lease
	Replaced int // used nodes that could not be kept, though reuse was asked for
	Retried  int // starts that were tried again
	Reduced  int // leases of fewer nodes than asked for

	Waited        int // leases that waited for room on this machine
	Overcommitted int // leases beyond what may run on this machine, to tests that must not wait
}

// New returns a Manager that starts nodes by an engine, with the environment
// that env returns at the time.
func New(e engine.Engine, env func() []string) *Manager {
	m := &Manager{engine: e, env: env, envOf: env, envAt: fingerprint(env())}
	m.pool.engine, m.pool.env = e, func() []string { return nodeEnv(env()) }
	if e != nil { // nil only decides
		m.finder.Root = e.Root
	}
	m.room = newAllowance(m.pool.giveUp)
	m.pool.room = m.room
	return m
}

// Programs has programs get another environment than nodes of the test binary. It
// must be called before any cluster is acquired.
func (m *Manager) Programs(env func() []string) { m.envOf = env }

// LeaseFrom has clusters of programs leased from the owner with a registry
// file, which starts those that there are not. It must be called before any is
// acquired.
func (m *Manager) LeaseFrom(file string) { m.finder.Run = file }

// ownKeeper has the clusters of programs that this test binary owns.
func (m *Manager) ownKeeper() *keeper.Keeper {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keeper == nil {
		m.keeper = keeper.New(m.engine)
		if m.room != nil {
			m.keeper.Room = RoomFor(m.room)
		}
	}
	return m.keeper
}

// Backend is what starts nodes, by its name in distributed.toml.
func (m *Manager) Backend() string { return m.engine.Name() }

// guard has the engine guard what nodes do, from the first call on: it takes
// about as long. The channel is closed when it does.
func (m *Manager) guard() <-chan struct{} {
	m.guardOnce.Do(func() {
		m.guarded = make(chan struct{})
		go func() {
			defer close(m.guarded)
			m.engine.Guard()
		}()
	})
	return m.guarded
}

// Stats returns the counts so far.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Waits returns how long each lease so far waited for its cluster.
func (m *Manager) Waits() []time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]time.Duration(nil), m.starts...)
}

// Warm has n spare nodes started in the background, less those that are there.
func (m *Manager) Warm(n int, c *config.Config) { m.warm(n, c, false) }

// WarmSoon is Warm a moment later, for when a test has just got its cluster:
// the new processes would compete with its first calls. The end of a lease
// makes it now.
func (m *Manager) WarmSoon(n int, c *config.Config) { m.warm(n, c, true) }

func (m *Manager) warm(n int, c *config.Config, soon bool) {
	limit, _ := Situation{Config: c, Machine: machine()}.limit()
	m.pool.warm(min(n, limit.Nodes), AtOnce(c).Nodes, c.StartTimeout(), soon)
}

// Prepare looks at the machine in the background, which a first decision
// depends on, while its caller has other things to read.
func (m *Manager) Prepare() {
	go func() {
		machine()
		machineAtOnce()
	}()
	if m.room != nil {
		go m.room.Open()
	}
}

// AwaitSpares returns when no spare node is on its way any more, or with ctx's
// error. Measurements need it; a lease does not.
func (m *Manager) AwaitSpares(ctx context.Context) error { return m.pool.await(ctx) }

// A Request is one test's wish for a cluster.
type Request struct {
	Test        string
	Package     string // the test's import path, for those who wait behind it
	Requirement requirement.Requirement
	Faults      bool // the test may inject network faults
	Config      *config.Config
	Short       bool
	OwnTestMain bool          // the package has a TestMain of its own, for the diagnosis
	Flags       program.Flags // to build a program with
	CoverDir    string        // where coverage is written; "": it is not
	Debug       Debug         // what is to be debugged
	Profiled    bool          // nodes write profiles when the lease ends

	// Announce, if not nil, is told what the test waits for, where that takes
	// longer than a second.
	Announce func(reason string)

	events *events.Recorder
}

// Unavailable is returned by Acquire where there is no cluster for the test.
type Unavailable struct {
	Decision  Decision
	Diagnosis *diagnostics.Diagnosis
}

func (u *Unavailable) Error() string { return u.Diagnosis.Error() }

func (u *Unavailable) Unwrap() error { return u.Diagnosis }

// Skip reports whether the test is to be skipped rather than to fail.
func (u *Unavailable) Skip() bool { return u.Decision.Action == Skip }

// Decide is the decision that Acquire would take now.
func (m *Manager) Decide(r Request) Decision {
	d, _, _ := m.decide(context.Background(), r)
	return d
}

// decide looks at the situation and decides. found says where to lease a
// program's cluster. The error is about what such clusters are looked for with:
// the program's build.
func (m *Manager) decide(ctx context.Context, r Request) (Decision, keeper.Found, error) {
	s := Situation{Requirement: r.Requirement, Config: r.Config, Short: r.Short, Machine: machine()}
	if r.Requirement.Program == "" {
		if reusable(r.Requirement, r.Config) && !r.apart() {
			s.Clean = m.pool.countClean()
		}
		return Decide(s), keeper.Found{}, nil
	}
	found, err := m.find(ctx, s, r)
	if found.Ask.Cluster != "" {
		s.Up = []Up{{found.Ask.Cluster, found.Ask.Nodes, found.Kind}}
	}
	d := Decide(s)
	if d.Row == "start" || d.Row == "reduced" || d.Row == "manual" {
		d.Reason = strings.Join(append([]string{d.Reason}, found.Passed...), "; ")
	}
	return d, found, err
}

// Spares is how many nodes of the test binary that have been started ahead of
// time a test may take.
func Spares(t requirement.Test, c *config.Config, short bool) int {
	r := Request{Requirement: t.Requirement, Faults: t.Faults, Config: c}
	if t.Requirement.Program != "" || r.apart() {
		return 0
	}
	return Decide(Situation{Requirement: t.Requirement, Config: c, Short: short, Machine: machine()}).Nodes
}

// Acquire leases a cluster, or returns an *Unavailable. ctx bounds the wait,
// and so does the requirement's timeout or, without one, the configuration's.
func (m *Manager) Acquire(ctx context.Context, r Request) (*Lease, error) {
	begin := time.Now()
	r.events = m.events
	d, found, err := m.decide(ctx, r)
	r.recordDecision(d)
	if d.Row == "manual" && found.Err != nil { // it may well have had one
		return nil, r.failed(ctx, d, found.Err, nil, begin)
	}
	if d.Action == Skip || d.Action == Fail {
		return nil, r.refused(d)
	}
	if err == nil {
		err = ctx.Err() // what little time there is, is for saying so
	}
	if err != nil {
		return nil, r.failed(ctx, d, err, nil, begin)
	}
	timeout := r.Config.StartTimeout()
	if r.Requirement.Timeout > 0 {
		timeout = r.Requirement.Timeout
	}
	var room *allowance.Grant
	var try attempt
	startCtx, cancel := ctx, context.CancelFunc(func() {})
	switch {
	case d.Row == "attached":
		try = m.attach
	case r.Requirement.Program != "":
		// Others may have the cluster for as long as their tests take, and it may
		// have to be built: unless the test says how long it waits, only what is
		// done when it is its turn is bounded.
		if r.Requirement.Timeout > 0 {
			startCtx, cancel = context.WithTimeout(ctx, timeout)
		}
		try = m.leaseProgram(found)
	default:
		if room, err = m.wait(ctx, r, d); err != nil {
			return nil, r.failed(ctx, d, err, nil, begin)
		}
		if room != nil && room.Over > 0 {
			d.Reason += fmt.Sprintf("; %d more than this machine is to run at once: the process has a cluster already, and must not wait", room.Over)
		}
		deadline := time.Now() // a busy machine is no slow start
		if r.Requirement.Timeout > 0 {
			deadline = begin
		}
		startCtx, cancel = context.WithDeadline(ctx, deadline.Add(timeout))
		try = m.startBinary(room)
	}
	defer cancel()
	l, tried, err := build(startCtx, r, d, timeout, try)
	if err != nil {
		if room != nil {
			room.Release()
		}
		m.touch(ctx, r)
		return nil, r.failed(ctx, d, err, tried, begin)
	}
	l.room, l.Tried = room, tried
	l.Wait, l.began = time.Since(begin), begin
	m.count(l, len(tried))
	return l, nil
}

// count adds a lease to the statistics.
func (m *Manager) count(l *Lease, retried int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Leases++
	m.stats.Retried += retried
	if l.Size() < l.request.Requirement.Nodes {
		m.stats.Reduced++
	}
	for _, n := range l.Nodes {
		if n.Used() {
			m.stats.Reused++
		} else {
			m.stats.Started++
		}
	}
	m.starts = append(m.starts, l.Wait)
}

// refused is a decision against a cluster as an error.
func (r *Request) refused(d Decision) *Unavailable {
	f := diagnostics.Failure{
		Phase: diagnostics.PhaseLimits, Code: d.Code, Err: errors.New(d.Reason),
		Allowed: d.Limit.Nodes, Source: d.Limit.Source, Asked: max(r.Requirement.Nodes, r.Requirement.Min),
	}
	switch d.Row {
	case "off", "manual":
		f.Source = r.Config.Source("cluster.mode")
	case "short":
		f.Source = r.Config.Source("cluster.short")
	case "unknown-program", "unknown-port", "attached-small":
		f.Name = r.Requirement.Program
	case "too-large":
		d.Nodes = f.Asked // for the operation
	}
	return r.unavailable(d, f)
}

// failed is an attempt, or what comes before it, that has failed as an error.
// ctx is the test's.
func (r *Request) failed(ctx context.Context, d Decision, err error, tried []Try, begin time.Time) *Unavailable {
	f := diagnostics.Failure{Phase: diagnostics.PhasePrepare, Err: err}
	if e := (*engine.Error)(nil); errors.As(err, &e) {
		f = e.Failure
	}
	if f.Limit == 0 {
		f.Limit = r.Config.StartTimeout()
		if r.Requirement.Timeout > 0 {
			f.Limit = r.Requirement.Timeout
		}
	}
	if f.Elapsed == 0 {
		f.Elapsed = time.Since(begin)
	}
	// The test's own time was up, not ours. Who waited knows better what for.
	if f.Code != diagnostics.LimitMachine && f.Code != diagnostics.ClusterBusy {
		switch ctx.Err() {
		case context.DeadlineExceeded:
			f.Code = diagnostics.TimeDeadline
		case context.Canceled:
			f.Code = diagnostics.TimeCanceled
		}
	}
	var instead []string
	if len(tried) > 0 {
		instead = append(instead, fmt.Sprintf("tried %d times, %s apart", len(tried)+1, joinPauses(tried)))
		// The last one is what all of this is about.
		for i, t := range tried {
			if !t.diagnosis.Same(whatIs(err)) {
				instead = append(instead, fmt.Sprintf("try %d: %s", i+1, t.Why))
			}
		}
	}
	why := Decision{Action: Fail, Row: d.Row, Nodes: d.Nodes, Reason: notStarted}
	if f.Code == diagnostics.LimitMachine || f.Code == diagnostics.ClusterBusy {
		why.Reason = "other tests had what it takes"
	}
	if skip, because := skips(r.Requirement, r.Config); skip {
		why.Action = Skip
		instead = append(instead, "skipped, because "+because)
	}
	f.Fallback = strings.Join(instead, "; ")
	u := r.unavailable(why, f)
	if u.Decision.Reason == notStarted {
		u.Decision.Reason += ": " + u.Diagnosis.Line("")
	}
	return u
}

const notStarted = "the cluster did not start"

// unavailable makes the diagnosis of a failure to have a cluster.
func (r *Request) unavailable(d Decision, f diagnostics.Failure) *Unavailable {
	switch {
	case r.Requirement.Program != "":
		f.Op = fmt.Sprintf("have a cluster of %s for %s", r.Requirement.Program, r.Test)
	case d.Nodes > 0:
		f.Op = fmt.Sprintf("start %s for %s", count(d.Nodes, "node"), r.Test)
	default:
		f.Op = "have a cluster for " + r.Test
	}
	if f.Name == "" {
		f.Name = r.Test
	}
	f.OwnTestMain = r.OwnTestMain
	diagnostics.Gather(context.Background(), &f)
	return &Unavailable{Decision: d, Diagnosis: diagnostics.Diagnose(f)}
}

// An attempt is one try at a lease of size nodes. It returns how many failed.
type attempt func(ctx context.Context, r Request, d Decision, size int, timeout time.Duration) (l *Lease, failed int, err error)

// A Try is a start that failed and was tried again.
type Try struct {
	Why   string        // the cause and its code, in a line
	Pause time.Duration // until the next

	diagnosis *diagnostics.Diagnosis
}

func (t Try) String() string { return fmt.Sprintf("%s, tried again after %v", t.Why, t.Pause) }

// build has the nodes ready and makes a lease of them. It tries again after
// causes that can pass, and takes fewer nodes where the test bears them.
func build(ctx context.Context, r Request, d Decision, timeout time.Duration, try attempt) (l *Lease, tried []Try, err error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = r.Config.Fallback.Backoff
	pause.Multiplier = 2
	pause.MaxInterval = max(10*time.Second, r.Config.Fallback.Backoff)
	size, decision := d.Nodes, d
	for {
		var failed int
		l, failed, err = try(ctx, r, decision, size, timeout)
		if err == nil {
			return l, tried, nil
		}
		why := whatIs(err)
		if ctx.Err() != nil || len(tried) >= r.Config.Fallback.Retries || !why.Retry {
			// What is there may do, if the test says so.
			least := r.Requirement.Min
			if have := size - failed; least > 0 && have >= least && have < size && r.Config.Fallback.Reduce && ctx.Err() == nil {
				decision.Reason = fmt.Sprintf("%d of %d nodes: %s; the test bears %d", have, d.Nodes, why.Line(""), least)
				size = have
				continue
			}
			return nil, tried, err
		}
		// No earlier than makes sense for what has failed.
		wait := max(pause.NextBackOff(), why.RetryAfter)
		select {
		case <-time.After(wait):
			tried = append(tried, Try{why.Line(""), wait.Round(time.Millisecond), why})
			r.recordRetry(tried[len(tried)-1])
		case <-ctx.Done():
			return nil, tried, err
		}
	}
}

// whatIs is the diagnosis of a failed start, without evidence from the machine.
func whatIs(err error) *diagnostics.Diagnosis {
	f := diagnostics.Failure{Err: err}
	if e := (*engine.Error)(nil); errors.As(err, &e) {
		f = e.Failure
	}
	return diagnostics.Diagnose(f)
}

// startBinary is an attempt at a cluster of the test binary, for which there is
// room.
func (m *Manager) startBinary(room *allowance.Grant) attempt {
	return func(ctx context.Context, r Request, d Decision, size int, timeout time.Duration) (*Lease, int, error) {
		return m.startOnce(ctx, r, d, size, timeout, room)
	}
}

// startOnce starts or takes size nodes, all at once, and gives each its place in
// a new lease. It returns how many failed, and one error of all.
func (m *Manager) startOnce(ctx context.Context, r Request, d Decision, size int, timeout time.Duration, room *allowance.Grant) (_ *Lease, failed int, err error) {
	prepare := func(op, path string, err error) error {
		var e *engine.Error
		if errors.As(err, &e) {
			return err
		}
		e = &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhasePrepare, Op: op, Path: path, Err: err}}
		diagnostics.Gather(context.Background(), &e.Failure) // now: what has filled the disk is removed in a moment
		return e
	}
	var candidates []*candidate
	if !r.apart() {
		candidates = m.pool.take(size, d.Action == Reuse, timeout, room)
	}
	var cluster *binaryCluster
	defer func() {
		if err != nil {
			for _, c := range candidates {
				m.pool.giveBack(c)
			}
			if cluster != nil {
				cluster.discard()
			}
		}
	}()
	root, err := m.engine.Root()
	if err != nil {
		return nil, size, prepare("create the directory of this run", "", err)
	}
	alloc, err := m.allocator(r.Config)
	if err != nil {
		return nil, size, &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhaseConfig, Op: "choose addresses", Code: diagnostics.ConfigInvalid, Err: err}}
	}
	wanted := size
	if r.mayFault() {
		wanted *= 2 // one that others dial, one that the node binds
	}
	addrs, err := alloc.Lease(wanted, r.Requirement.Ports)
	if err != nil {
		return nil, size, engine.Unaddressed(prepare("find free addresses", "", err), r.Config.Network.Range)
	}
	l := &Lease{
		ID:      fmt.Sprintf("%s-%d", strings.TrimPrefix(filepath.Base(root), "dist-"), m.seq.Add(1)),
		request: r, Decision: d,
	}
	cluster = &binaryCluster{Lease: l, m: m, addrs: addrs, dir: filepath.Join(root, l.ID)}
	cluster.barriers = newBarriers(func() []*binaryNode { return cluster.nodes })
	cluster.barriers.record = cluster.recordBarrier
	l.cluster = cluster
	for i := range size {
		n := newNode(cluster, i)
		cluster.nodes = append(cluster.nodes, n)
		l.Nodes = append(l.Nodes, n)
	}
	if r.mayFault() {
		if err := cluster.connect(); err != nil {
			return nil, size, prepare("make the network between the nodes", "", err)
		}
	}
	switch {
	case cluster.network.Host(0) != nil:
		for _, c := range candidates {
			m.pool.giveBack(c)
		}
		candidates = m.pool.startApart(size, timeout, cluster.network.Host)
	case candidates == nil: // there are no networks to be had
		candidates = m.pool.take(size, d.Action == Reuse, timeout, room)
	}
	errs := make([]error, size)
	var wg sync.WaitGroup
	for i, n := range cluster.nodes {
		wg.Go(func() {
			c := candidates[i]
			errs[i] = n.adopt(ctx, c)
			if errs[i] != nil && c.isReady() && c.err == nil && ctx.Err() == nil {
				// It was there, and has died since. A new one may do better.
				m.pool.discard(c)
				c = m.pool.replace(c, timeout)
				candidates[i] = c
				errs[i] = n.adopt(ctx, c)
			}
		})
	}
	wg.Wait()
	for _, e := range errs {
		if e != nil {
			failed++
		}
	}
	return l, failed, engine.Fold(errs, nodeName)
}

// allocator returns the addresses as the configuration has them now.
func (m *Manager) allocator(c *config.Config) (*network.Allocator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	conf := [2]string{c.Network.Addresses, c.Network.Range}
	if m.network != nil && m.netConf == conf {
		return m.network, nil
	}
	a, err := network.New(c.Network.Addresses, c.Network.Range)
	if err != nil {
		return nil, err
	}
	// An earlier one stays as it is: leases may still have addresses of it.
	m.network, m.netConf = a, conf
	return a, nil
}

// Close ends all nodes that are not leased, and gives back what the engine
// holds. Leases must have been released. It returns what used nodes said at
// their end, for somebody to hear.
func (m *Manager) Close(ctx context.Context) []Problem {
	spares, clean := m.pool.drain()
	var (
		mu       sync.Mutex
		problems []Problem
		ended    []engine.Node
		wg       sync.WaitGroup
	)
	for _, c := range spares {
		m.pool.discard(c)
	}
	for _, c := range clean {
		wg.Go(func() {
			n := &binaryNode{name: "a reused node", log: c.node.LogFile()}
			n.lives.Begin(c.node)
			n.end(ctx)
			mu.Lock()
			problems = append(problems, n.problems...)
			ended = append(ended, c.node)
			mu.Unlock()
		})
	}
	wg.Wait()
	m.pool.going.Wait()
	m.engine.Sweep(ended)
	m.mu.Lock()
	keeper := m.keeper
	m.mu.Unlock()
	if keeper != nil {
		keeper.Close(ctx)
	}
	m.finder.Close()
	m.mu.Lock()
	if m.network != nil {
		m.network.Close()
	}
	m.mu.Unlock()
	m.engine.Close()
	if m.room != nil {
		m.room.Close()
	}
	return problems
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func joinPauses(tried []Try) string {
	var s []string
	for _, t := range tried {
		s = append(s, t.Pause.String())
	}
	return strings.Join(s, ", ")
}
