package manager

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/manager/allowance"
	"github.com/distkit/dist/runtime/network/namespaces"
	"github.com/distkit/dist/runtime/wire"
)

// A candidate is a node that nobody has yet: starting, ready, or failed.
type candidate struct {
	env      uint64           // fingerprint of the environment it was started with
	until    time.Time        // when its start has failed, if it has not answered; zero if it has
	host     *namespaces.Host // whose network it is in; nil: that of this process
	inbox    *inbox           // what it asks goes there
	used     bool             // served an earlier lease, and was found clean
	began    time.Time        // its start
	spawned  chan struct{}    // closed when process is set, or ready is closed without it
	process  engine.Node      // started, but it may not have answered yet
	ready    chan struct{}    // closed when node or err is set
	answered time.Time        // or failed; set before ready is closed
	node     engine.Node
	err      error
	stop     context.CancelFunc // gives up a start in progress
	taken    bool               // somebody has it, or waits for it; guarded by the pool
	settled  chan struct{}      // closed when nothing happens to it any more in the background
}

// there is the candidate of a node that has answered.
func there(n engine.Node, i *inbox) *candidate {
	done := make(chan struct{})
	close(done)
	return &candidate{inbox: i, spawned: done, process: n, ready: done, node: n, stop: func() {}, settled: done}
}

func (c *candidate) isReady() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// dead reports whether a candidate is of no use any more.
func (c *candidate) dead() bool {
	if !c.isReady() {
		return false
	}
	if c.err != nil {
		return true
	}
	select {
	case <-c.node.Done():
		return true
	default:
		return false
	}
}

// A pool holds the candidates: spares that were started ahead of time, and
// used nodes that are clean.
type pool struct {
	engine engine.Engine
	env    func() []string
	room   *allowance.Allowance // all nodes here are counted in it; nil: nobody counts
	dying  atomic.Int32         // nodes that are being killed

	mu     sync.Mutex
	spares []*candidate // oldest first
	clean  []*candidate
	due    *warming // spares to be started soon; nil if there are none
	closed bool
	going  sync.WaitGroup // starts and ends in the background
}

var seed = maphash.MakeSeed()

// fingerprint tells environments apart. A spare that was started before a test
// changed the environment (t.Setenv) is not the node that test asked for. The
// working directory is not part of it: nodes work in the package's.
func fingerprint(env []string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, v := range env {
		if !strings.HasPrefix(v, "PWD=") && !strings.HasPrefix(v, "OLDPWD=") {
			h.WriteString(v)
			h.WriteByte(0)
		}
	}
	return h.Sum64()
}

// start begins the start of one node in the background.
func (p *pool) start(env []string, print uint64, timeout time.Duration, host *namespaces.Host) *candidate {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	now := time.Now()
	c := &candidate{env: print, host: host, began: now, until: now.Add(timeout), inbox: newInbox(), spawned: make(chan struct{}), ready: make(chan struct{}), stop: cancel, settled: make(chan struct{})}
	p.going.Go(func() {
		defer cancel()
		defer close(c.settled)
		c.node, c.err = p.engine.Start(ctx, engine.Spec{Env: env, Host: host, Handler: c.inbox.handle, Ended: c.inbox.ended, Spawned: func(n engine.Node) {
			c.process = n
			close(c.spawned)
		}})
		c.answered = time.Now()
		close(c.ready)
		if c.process == nil { // not started, or by an engine that does not tell
			c.process = c.node
			close(c.spawned)
		}
		p.rehearse(ctx, c)
	})
	return c
}

// rehearsal is an Identity with something of everything.
var rehearsal = sync.OnceValue(func() []byte {
	body, err := wire.Marshal(Identity{Cluster: "c", Name: "n", Dir: "d", Test: "t", Life: 1, Listen: map[string]string{"p": "a"}, Addrs: map[string][]string{"p": {"a"}}})
	if err != nil {
		panic(err) // strings: cannot happen
	}
	return body
})

// rehearse has a spare that nobody waits for go through its first request.
func (p *pool) rehearse(ctx context.Context, c *candidate) {
	p.mu.Lock()
	taken := c.taken
	p.mu.Unlock()
	if !taken && c.err == nil {
		c.node.Conn().Call(ctx, MethodPing, rehearsal()) // its lease will see if it fails
	}
}

// A warming is a number of spares to have, with today's environment.
type warming struct {
	n       int
	total   int // nodes that may run on this machine at once
	env     []string
	print   uint64
	timeout time.Duration
}

// warmDelay is what a test has of the processor to itself for its first calls.
const warmDelay = 5 * time.Millisecond

// warm sees to it that n spares are ready or on their way: now, or after
// warmDelay unless somebody calls warmNow earlier.
func (p *pool) warm(n, total int, timeout time.Duration, soon bool) {
	env := p.env()
	p.mu.Lock()
	p.due = &warming{n, total, env, fingerprint(env), timeout}
	p.mu.Unlock()
	if soon {
		time.AfterFunc(warmDelay, p.warmNow)
		return
	}
	p.warmNow()
}

// warmNow starts the spares that are due.
func (p *pool) warmNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.due
	p.due = nil
	if w == nil || p.closed {
		return
	}
	p.prune(w.print)
	missing := w.n - len(p.spares)
	if missing <= 0 || p.room != nil && !p.room.Reserve(missing, w.total, unused) {
		return // no room, or others wait for it
	}
	for range missing {
		p.spares = append(p.spares, p.start(w.env, w.print, w.timeout, nil))
	}
	p.tell(nil)
}

// tell has those who share the machine know how many nodes are idle here. room is
// what some of them are not idle for any more. p.mu is held.
func (p *pool) tell(room *allowance.Grant) {
	if p.room != nil {
		p.room.Idle(len(p.spares)+len(p.clean)+int(p.dying.Load()), room)
	}
}

// usable is how many idle nodes a cluster of n nodes is going to take. That some
// may be found dead, or to have another environment, is for take to see: they
// are replaced, and gone in a moment.
func (p *pool) usable(n int, reuse bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := len(p.spares)
	if reuse {
		have += len(p.clean)
	}
	return min(n, have)
}

// giveUp ends all that nobody has.
func (p *pool) giveUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range append(p.spares, p.clean...) {
		p.discard(c)
	}
	p.spares, p.clean = nil, nil
}

// prune drops candidates that died, or whose environment is not today's.
func (p *pool) prune(print uint64) {
	keep := func(list []*candidate) []*candidate {
		kept := list[:0]
		for _, c := range list {
			if c.env == print && !c.dead() {
				kept = append(kept, c)
			} else {
				p.discard(c)
			}
		}
		return kept
	}
	p.spares, p.clean = keep(p.spares), keep(p.clean)
}

// discard ends a candidate in the background. What nobody has used has nothing
// to say: it is killed.
func (p *pool) discard(c *candidate) {
	p.dying.Add(1)
	p.going.Go(func() {
		c.stop()
		<-c.ready
		if c.node != nil {
			c.node.Kill()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dying.Add(-1)
		p.tell(nil)
	})
}

// take hands out n candidates for the environment of now: used ones first if
// reuse, then spares, those that are ready before those on their way, then new ones.
// room is what they have been granted.
func (p *pool) take(n int, reuse bool, timeout time.Duration, room *allowance.Grant) []*candidate {
	env := p.env()
	print := fingerprint(env)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune(print)
	var taken []*candidate
	if reuse {
		m := min(n, len(p.clean))
		taken = append(taken, p.clean[:m]...)
		p.clean = p.clean[m:]
	}
	for _, ready := range []bool{true, false} {
		rest := p.spares[:0:0]
		for _, c := range p.spares {
			if len(taken) < n && c.isReady() == ready {
				taken = append(taken, c)
			} else {
				rest = append(rest, c)
			}
		}
		p.spares = rest
	}
	p.tell(room)
	for len(taken) < n {
		taken = append(taken, p.start(env, print, timeout, nil))
	}
	for _, c := range taken {
		c.taken = true
	}
	return taken
}

// startApart starts n new nodes, each in a network of its own.
func (p *pool) startApart(n int, timeout time.Duration, host func(i int) *namespaces.Host) []*candidate {
	env := p.env()
	print := fingerprint(env)
	var started []*candidate
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range n {
		c := p.start(env, print, timeout, host(i))
		c.taken = true
		started = append(started, c)
	}
	return started
}

// replace is a further new node, for one that did not start or has died.
func (p *pool) replace(c *candidate, timeout time.Duration) *candidate {
	env := p.env()
	return p.start(env, fingerprint(env), timeout, c.host)
}

// countClean is how many used nodes are at hand.
func (p *pool) countClean() int {
	print := fingerprint(p.env())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune(print)
	return len(p.clean)
}

// keep takes back a used node that is clean.
func (p *pool) keep(n engine.Node, i *inbox, print uint64) {
	i.node.Store(nil)
	c := there(n, i)
	c.env, c.used = print, true
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.discard(c)
		return
	}
	p.clean = append(p.clean, c)
	p.tell(nil)
}

// giveBack takes back a candidate whose cluster did not come to be. It may have
// been told who it is; the next assignment tells it anew.
func (p *pool) giveBack(c *candidate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.taken = false
	c.inbox.node.Store(nil) // what becomes of it is no concern of that lease
	if p.closed || c.dead() || c.host != nil {
		p.discard(c)
		return
	}
	if c.used {
		p.clean = append(p.clean, c)
	} else {
		p.spares = append(p.spares, c)
	}
	p.tell(nil)
}

// await returns when every spare is ready, or has failed.
func (p *pool) await(ctx context.Context) error {
	p.warmNow()
	p.mu.Lock()
	spares := slices.Clone(p.spares)
	p.mu.Unlock()
	for _, c := range spares {
		select {
		case <-c.settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// drain hands out all candidates, and lets none in any more.
func (p *pool) drain() (spares, clean []*candidate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spares, clean = p.spares, p.clean
	p.spares, p.clean, p.closed = nil, nil, true
	return spares, clean
}
