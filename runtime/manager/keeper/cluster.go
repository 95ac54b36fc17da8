package keeper

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/network/backend"
	"github.com/distkit/dist/runtime/program"
)

// errRetired tells those who waited for a cluster that it is gone.
var errRetired = errors.New("the cluster is gone")

const (
	// announceAfter is how long a lease waits before somebody is told why.
	announceAfter = time.Second
	// settleTime is how long the nodes of a cluster that has been leased before
	// may take to be healthy: one that was paused finds its peers again.
	settleTime = 5 * time.Second
	// lookPause is the time between two looks at nodes that settle.
	lookPause = 50 * time.Millisecond
)

// A cluster is a program's cluster that somebody has asked for. It starts with
// its first lease.
type cluster struct {
	k    *Keeper
	id   string
	key  string
	ask  Ask    // what it was made for: what all who share it agree on
	dir  string // of its nodes' directories and logs
	made time.Time

	ctx    context.Context // ends when the cluster is to end, and with it all that is done to its nodes
	cancel context.CancelFunc

	mu      sync.Mutex
	queue   []*lease // those who wait, in order
	holders map[*lease]bool
	retired bool
	mending context.CancelFunc // gives up what happens between leases

	// acting, which holds one, serialises what concerns all nodes: the start, the
	// preparation of a lease, the end.
	acting chan struct{}
	fresh  bool // nobody has had it since its data were emptied; under acting

	// These are set by the start, and by the end, under both locks.
	exe     *program.Executable
	addrs   *network.Lease
	network *backend.Network // nil if its nodes are reached as they are
	linked  error            // why they are, though somebody may want to inject network faults
	vacate  func()           // gives back the room of its nodes; under acting
	nodes   []*member
}

// lease waits for the turn of an Ask, and has the cluster prepared for it.
func (c *cluster) lease(ctx context.Context, a Ask, idle bool) (*lease, error) {
	l := &lease{c: c, who: a.Who, shared: a.Shared, idle: idle, turn: make(chan struct{}), since: time.Now()}
	c.mu.Lock()
	if c.retired {
		c.mu.Unlock()
		return nil, errRetired
	}
	c.queue = append(c.queue, l)
	c.admit()
	c.mu.Unlock()
	if err := c.await(ctx, l, a.Announce); err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := c.prepare(ctx, l, &a); err != nil {
		c.leave(l)
		if c.ctx.Err() != nil {
			return nil, errRetired
		}
		return nil, wrap(err, diagnostics.Failure{
			Phase: diagnostics.PhasePrepare, Op: "prepare cluster " + c.id, Name: c.ask.Program.Name,
			Limit: a.Start, Elapsed: time.Since(begin),
		})
	}
	return l, nil
}

// wrap makes an error one that can be diagnosed, if it is not.
func wrap(err error, f diagnostics.Failure) error {
	var (
		e *engine.Error
		d *diagnostics.Diagnosis
	)
	if errors.As(err, &e) || errors.As(err, &d) {
		return err
	}
	f.Err = err
	return &engine.Error{Failure: f}
}

// within is a context that ends with the cluster, too.
func (c *cluster) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// lock takes c.acting, or returns ctx's error.
func (c *cluster) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.acting <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cluster) unlock() { <-c.acting }

// admit lets in as many of those who wait as may have the cluster at the same
// time. c.mu is held.
func (c *cluster) admit() {
	for len(c.queue) > 0 && !c.retired {
		next := c.queue[0]
		for l := range c.holders {
			if !l.shared || !next.shared {
				return
			}
		}
		c.queue = c.queue[1:]
		c.holders[next] = true
		next.since = time.Now()
		close(next.turn)
	}
}

// await returns when it is the turn of l, which is in the queue.
func (c *cluster) await(ctx context.Context, l *lease, announce func(string)) error {
	tell := time.NewTimer(announceAfter)
	defer tell.Stop()
	for {
		select {
		case <-l.turn:
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.retired {
				delete(c.holders, l)
				return errRetired
			}
			return nil
		case <-tell.C:
			if announce != nil {
				announce(c.inTheWay(l))
			}
		case <-ctx.Done():
			select {
			case <-l.turn: // just now: it is not the others that are to blame
				continue
			default:
			}
			reason := c.inTheWay(l)
			c.leave(l)
			return &engine.Error{Failure: diagnostics.Failure{
				Phase: diagnostics.PhasePrepare, Code: diagnostics.ClusterBusy, Op: "lease cluster " + c.id,
				Name: c.id, Err: ctx.Err(), Elapsed: time.Since(l.since), Details: []string{reason},
			}}
		}
	}
}

// inTheWay says who has the cluster, and who is before l.
func (c *cluster) inTheWay(l *lease) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var who []string
	for h := range c.holders {
		if h == l {
			continue
		}
		who = append(who, fmt.Sprintf("%s has had it for %v", h.who, time.Since(h.since).Round(100*time.Millisecond)))
	}
	slices.Sort(who)
	if n := slices.Index(c.queue, l); n > 0 {
		who = append(who, fmt.Sprintf("%s before this one, first %s", count(n, "other test is", "other tests are"), c.queue[0].who))
	}
	return fmt.Sprintf("cluster %s is leased: %s", c.id, strings.Join(who, "; "))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// leave takes a lease out of the queue, or ends its hold.
func (c *cluster) leave(l *lease) {
	c.k.mu.Lock()
	c.k.used = time.Now() // before nobody has it any more
	c.k.mu.Unlock()
	c.mu.Lock()
	c.queue = slices.DeleteFunc(c.queue, func(q *lease) bool { return q == l })
	delete(c.holders, l)
	c.admit()
	// A cluster that never came to be is not kept.
	idle := len(c.holders)+len(c.queue) == 0
	void := idle && c.nodes == nil && !c.retired
	c.retired = c.retired || void
	c.mu.Unlock()
	if void {
		c.k.forget(c, false)
	}
	if idle && !void {
		c.mend()
	}
}

// mend has nodes run again, in the background, that a lease has left paused or
// ended, or running another program. The next lease would do so, too, and would have to wait for it.
func (c *cluster) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	broken := slices.ContainsFunc(c.nodes, func(n *member) bool {
		s := n.state()
		return !s.Up || s.Paused || s.As != ""
	})
	if !broken || c.retired || c.mending != nil {
		return
	}
	ctx, cancel := c.within(context.Background())
	c.mending = cancel
	go func() {
		defer func() {
			c.mu.Lock()
			c.mending = nil
			c.mu.Unlock()
			cancel()
		}()
		if c.lock(ctx) != nil {
			return
		}
		defer c.unlock()
		if c.nodes != nil {
			c.restore(ctx) // what it could not do is the next lease's to find out
		}
	}()
}

func (c *cluster) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.holders)+len(c.queue) > 0
}

// prepare makes the cluster what a lease may expect: running, healthy, and for
// an exclusive one with fresh data.
func (c *cluster) prepare(ctx context.Context, l *lease, a *Ask) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	if !l.shared && c.ask.Program.Reset.Mode == "restart" {
		c.mu.Lock()
		if c.mending != nil {
			c.mending() // it would be stopped again at once
		}
		c.mu.Unlock()
	}
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	l.reused = c.nodes != nil
	if l.reused {
		limited, cancel := a.limit(ctx)
		defer cancel()
		err := c.refresh(limited, l)
		switch {
		case err == nil:
			l.begin()
			return nil
		case limited.Err() != nil, c.shared(l), c.badReset(limited, err):
			// Others who share it have it as it is.
			return err
		}
		// It could not be mended.
		c.stopAll(ctx)
		c.release()
		l.reused = false
	}
	if err := c.start(ctx, a); err != nil {
		return err
	}
	l.begin()
	return nil
}

// badReset reports whether err is of a reset command that failed although the nodes
// are well. It would fail each time, and a new cluster hide it.
func (c *cluster) badReset(ctx context.Context, err error) bool {
	e, ok := errors.AsType[*engine.Error](err)
	if !ok || e.Code != diagnostics.ProgramReset {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, c.k.settle)
	defer cancel()
	return c.each(func(n *member) error { return n.health(ctx) }) == nil
}

// limit bounds what is done when it is an Ask's turn, and there is a program to
// run and room for it: neither a compiler nor other tests make a start slow.
func (a *Ask) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.Start <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, a.Start)
}

// shared reports whether somebody besides l has the cluster.
func (c *cluster) shared(l *lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.holders) > 1
}

// refresh prepares a cluster that runs already.
func (c *cluster) refresh(ctx context.Context, l *lease) error {
	if !l.shared && !l.idle && !c.fresh {
		if err := c.reset(ctx); err != nil {
			return err
		}
	}
	err := c.settle(ctx)
	if err == nil || ctx.Err() != nil || c.shared(l) {
		return err
	}
	// A restart may do what patience could not.
	return c.together(ctx, func(ctx context.Context, n *member) error {
		return n.restart(ctx, "restarted: it was not healthy")
	})
}

// settle has all nodes run, and returns when all are healthy, or have not been
// for some time.
func (c *cluster) settle(ctx context.Context) error {
	var until time.Time
	for {
		err := c.restore(ctx)
		if err != nil {
			return err
		}
		if until.IsZero() { // what the first takes is a start, and no time to settle
			until = time.Now().Add(c.k.settle)
		}
		// A node that is stopped takes a connection, and says nothing.
		look, cancel := context.WithDeadline(ctx, until)
		err = c.each(func(n *member) error { return n.health(look) })
		over := look.Err() != nil
		cancel()
		if err == nil || over {
			return err
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
			return err
		}
	}
}

// start starts all nodes at once. Without all of them there is no cluster.
func (c *cluster) start(ctx context.Context, by *Ask) (err error) {
	a := &c.ask
	exe, err := c.k.build(ctx, a)
	if err != nil {
		return err
	}
	vacate := func() {}
	if c.k.Room != nil {
		if vacate, err = c.k.Room(ctx, by); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				vacate()
			}
		}()
	}
	ctx, cancel := by.limit(ctx)
	defer cancel()
	alloc, err := c.k.allocator(a.Network)
	if err != nil {
		return err
	}
	wanted := a.Nodes
	if a.Faults {
		wanted *= 2 // one that others dial, one that the node binds
	}
	addrs, err := alloc.Lease(wanted, a.Program.Ports)
	if err != nil {
		return engine.Unaddressed(prepareError("find free addresses", "", err), a.Network.Range)
	}
	between, linked, err := c.connect(a, addrs)
	if err != nil {
		addrs.Release()
		return prepareError("make the network between the nodes", "", err)
	}
	nodes := make([]*member, a.Nodes)
	view := c.view(a, addrs, between)
	for i := range nodes {
		nodes[i] = newMember(c, a, exe, view, i, between.Host(i))
		if err == nil {
			err = fresh(nodes[i].dir)
		}
	}
	if err != nil {
		if between != nil {
			between.Close()
		}
		addrs.Release()
		removeAll(c.dir)
		return prepareError("create the nodes' directories", c.dir, err)
	}
	c.mu.Lock()
	c.exe, c.addrs, c.nodes = exe, addrs, nodes
	c.network, c.linked = between, linked
	c.mu.Unlock()
	if err := c.together(ctx, func(ctx context.Context, n *member) error { return n.start(ctx) }); err != nil {
		c.stopAll(ctx)
		c.release()
		return err
	}
	c.vacate = vacate
	c.fresh = true
	return nil
}

func prepareError(op, path string, err error) error {
	return &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhasePrepare, Op: op, Path: path, Err: err}}
}

// connect makes the network of a cluster whose tests may inject faults into it.
// Where that is impossible the cluster is as any other, and the first error says
// why.
func (c *cluster) connect(a *Ask, addrs *network.Lease) (_ *backend.Network, why, err error) {
	if !a.Faults || len(a.Program.Ports) == 0 {
		return nil, nil, nil
	}
	n, err := backend.New(a.Network.Faults, backend.Nodes{
		Count: a.Nodes, Ports: a.Program.Ports, PIDs: c.pids,
		HostPorts: a.Network.HostPorts,
		Addr:      addrs.Addr, Behind: func(i int, port string) string { return addrs.Addr(a.Nodes+i, port) },
	})
	if u := (*network.Unsupported)(nil); errors.As(err, &u) {
		return nil, err, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return n, nil, nil
}

// pids are the nodes' processes of now, by index; 0 for those that have ended.
func (c *cluster) pids() []int {
	c.mu.Lock()
	nodes := c.nodes
	c.mu.Unlock()
	pids := make([]int, len(nodes))
	for i, n := range nodes {
		pids[i] = n.pid()
	}
	return pids
}

// Faults returns what injects faults into the network of the cluster, or why
// there is nothing that does.
func (l *lease) Faults() (network.Faults, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	switch {
	case l.c.network != nil:
		return l.c.network, nil
	case l.c.linked != nil:
		return nil, l.c.linked
	}
	return nil, errors.New("the cluster was not started for network faults")
}

// view is what templates see, with the node left open.
func (c *cluster) view(a *Ask, addrs *network.Lease, between *backend.Network) config.View {
	v := config.View{Cluster: c.id}
	for i := range a.Nodes {
		name := fmt.Sprintf("node-%d", i+1)
		n := config.NodeView{Name: name, Dir: filepath.Join(c.dir, name), Listen: make(map[string]string), Addr: make(map[string]string)}
		for _, p := range a.Program.Ports {
			n.Listen[p], n.Addr[p] = addrs.Addr(i, p), addrs.Addr(i, p)
			if between != nil {
				n.Listen[p] = between.Listen(i, p)
			}
		}
		v.Nodes = append(v.Nodes, n)
	}
	return v
}

// each does something to all nodes at once, and makes one error of those of the
// nodes that it failed on. c.acting is held.
func (c *cluster) each(act func(*member) error) error {
	errs := make([]error, len(c.nodes))
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		wg.Go(func() { errs[i] = act(n) })
	}
	wg.Wait()
	return engine.Fold(errs, func(i int) string { return c.nodes[i].name })
}

// together is each for what only makes sense if it can be done to all nodes:
// when it has failed on one, the others need not go on.
func (c *cluster) together(ctx context.Context, act func(context.Context, *member) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return c.each(func(n *member) error {
		err := act(ctx, n)
		if err != nil {
			cancel()
		}
		return err
	})
}

// reset gives an exclusive lease fresh data, in the program's way.
func (c *cluster) reset(ctx context.Context) error {
	switch c.ask.Program.Reset.Mode {
	case "none":
		return nil
	case "exec":
		if err := c.restore(ctx); err != nil {
			return err
		}
		for _, n := range c.nodes { // one after the other: commands may concern all of the cluster
			if err := program.Reset(ctx, c.k.engine, n.spec()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := c.each(func(n *member) error { return n.discard(ctx) }); err != nil {
		return err
	}
	c.sweep()
	err := c.together(ctx, func(ctx context.Context, n *member) error {
		if err := n.clear(); err != nil {
			return err
		}
		return n.start(ctx)
	})
	c.fresh = err == nil
	return err
}

// restore has all nodes run that a lease has left paused or ended, and run the
// cluster's program.
func (c *cluster) restore(ctx context.Context) error {
	return c.together(ctx, func(ctx context.Context, n *member) error { return n.restore(ctx) })
}

// sweep ends what ended nodes have left outside their process groups.
func (c *cluster) sweep() []string {
	c.mu.Lock()
	nodes := c.nodes
	c.mu.Unlock()
	var ended []engine.Node
	for _, n := range nodes {
		ended = append(ended, n.lives.Ended()...)
	}
	if len(ended) == 0 {
		return nil
	}
	return c.k.engine.Sweep(ended)
}

// stopAll ends all nodes for good; those that do not by themselves are killed.
func (c *cluster) stopAll(ctx context.Context) {
	c.each(func(n *member) error {
		n.end(ctx)
		return nil
	})
	c.sweep()
}

// release gives back what a stopped cluster holds.
func (c *cluster) release() {
	c.mu.Lock()
	nodes, addrs, between := c.nodes, c.addrs, c.network
	c.nodes, c.addrs, c.network, c.linked = nil, nil, nil, nil
	c.mu.Unlock()
	if between != nil {
		between.Close()
	}
	for _, n := range nodes {
		n.remove()
	}
	if addrs != nil {
		addrs.Release()
	}
	removeAll(c.dir)
	if c.vacate != nil {
		c.vacate()
		c.vacate = nil
	}
}

// retire turns everybody away from now on.
func (c *cluster) retire() {
	c.k.forget(c, true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	c.cancel()
	for _, l := range c.queue {
		close(l.turn)
	}
	c.queue = nil
}

// retireIfIdle is retire where nobody has the cluster or waits for it.
func (c *cluster) retireIfIdle() bool {
	c.mu.Lock()
	idle := len(c.holders)+len(c.queue) == 0 && !c.retired
	c.retired = c.retired || idle
	c.mu.Unlock()
	if idle {
		c.k.forget(c, true)
		c.cancel()
	}
	return idle
}

// end stops a retired cluster.
func (c *cluster) end(ctx context.Context) {
	c.acting <- struct{}{} // what has it is being given up
	defer c.unlock()
	if c.nodes != nil {
		c.stopAll(ctx)
		c.release()
	}
	c.k.mu.Lock()
	delete(c.k.leaving, c)
	c.k.mu.Unlock()
}

// info describes the cluster; without nodes while it has not been started.
func (c *cluster) info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := Info{ID: c.id, Program: c.ask.Program.Name, Started: c.made, Leases: []LeaseInfo{}}
	if c.exe != nil {
		i.Build, i.Inputs = c.exe.Key, c.exe.Inputs
	}
	for _, n := range c.nodes {
		i.Nodes = append(i.Nodes, n.info())
	}
	for l := range c.holders {
		i.Leases = append(i.Leases, LeaseInfo{l.who, l.since, l.shared})
	}
	slices.SortFunc(i.Leases, func(a, b LeaseInfo) int { return a.Since.Compare(b.Since) })
	for _, l := range c.queue {
		i.Waiting = append(i.Waiting, l.who)
	}
	return i
}
