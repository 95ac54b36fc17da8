package keeper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/engine"
)

// A lease is a Lease of this process's Keeper.
type lease struct {
	c      *cluster
	who    string
	shared bool
	turn   chan struct{} // closed when it is its turn, or the cluster is gone
	since  time.Time     // in the queue, then as a holder
	idle   bool          // its holder has only had the cluster started
	reused bool          // the nodes had been there before

	// These are set once, when the cluster is ready.
	info  Info
	nodes []*member
	marks []int64 // where the logs were

	mu    sync.Mutex
	ended bool
	acts  sync.WaitGroup
}

// begin notes what the cluster is like. The cluster's acting is held.
func (l *lease) begin() {
	l.info = l.c.info()
	l.info.Reused = l.reused
	l.nodes = l.c.nodes
	l.c.fresh = l.c.fresh && l.idle
	for _, n := range l.nodes {
		if !l.idle { // which is no lease, and never released
			n.begin(l)
		}
		l.marks = append(l.marks, engine.LogSize(n.own.Log))
	}
}

// Info implements Lease.
func (l *lease) Info() Info { return l.info }

// hold keeps the lease from ending while something is done in its name.
func (l *lease) hold(node int) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, fmt.Errorf("%s does not have the cluster any more", l.who)
	}
	if node < 0 || node >= len(l.nodes) {
		return nil, fmt.Errorf("node %d of a cluster of %d", node, len(l.nodes))
	}
	l.acts.Add(1)
	return l.acts.Done, nil
}

// State implements Lease.
func (l *lease) State(_ context.Context, node int) (State, error) {
	release, err := l.hold(node)
	if err != nil {
		return State{}, err
	}
	defer release()
	return l.nodes[node].notice(), nil
}

// Act implements Lease.
func (l *lease) Act(ctx context.Context, node int, a Action) (State, error) {
	release, err := l.hold(node)
	if err != nil {
		return State{}, err
	}
	defer release()
	if l.shared {
		return State{}, fmt.Errorf("other tests may have the node at the same time: a test that has its nodes %s must not say shared", a.past())
	}
	ctx, cancel := l.c.within(ctx)
	defer cancel()
	err = l.nodes[node].act(ctx, a)
	return l.nodes[node].state(), err
}

// RestartAs implements Lease.
func (l *lease) RestartAs(ctx context.Context, node int, a Ask) (State, []string, error) {
	release, err := l.hold(node)
	if err != nil {
		return State{}, nil, err
	}
	defer release()
	if l.shared {
		return State{}, nil, errors.New("other tests may have the node at the same time: a test that has its nodes restarted must not say shared")
	}
	if a.Program == nil {
		return State{}, nil, errors.New("no program to restart the node as")
	}
	ctx, cancel := l.c.within(ctx)
	defer cancel()
	a.Flags, a.Env = l.c.ask.Flags, l.c.ask.Env
	inputs, err := l.nodes[node].restartAs(ctx, &a)
	return l.nodes[node].state(), inputs, err
}

// Health implements Lease.
func (l *lease) Health(ctx context.Context) ([]error, error) {
	release, err := l.hold(0)
	if err != nil {
		return nil, err
	}
	defer release()
	errs := make([]error, len(l.nodes))
	var wg sync.WaitGroup
	for i, n := range l.nodes {
		wg.Go(func() {
			if errs[i] = n.health(ctx); errs[i] != nil {
				n.heard()
			}
		})
	}
	wg.Wait()
	return errs, nil
}

// Release implements Lease. What the holder has left paused or ended is mended
// in the background, once nobody has the cluster.
func (l *lease) Release(ctx context.Context) (Report, error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return Report{}, nil
	}
	l.ended = true
	l.mu.Unlock()
	l.acts.Wait()
	if !l.shared { // what others do to the nodes is not this holder's to answer for
		var wg sync.WaitGroup
		for _, n := range l.nodes {
			wg.Go(func() { n.witness(ctx) })
		}
		wg.Wait()
	}
	r := Report{Logs: make(map[string][]string)}
	for i, n := range l.nodes {
		r.Problems = append(r.Problems, n.settle(l, l.marks[i])...)
		if tail := engine.Tail(n.own.Log, tailLines); len(tail) > 0 {
			r.Logs[n.name] = tail
		}
	}
	r.Left = l.c.sweep()
	l.c.leave(l)
	return r, nil
}
