package allowance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Allowance is a process's part in what all may have. It is safe for
// concurrent use.
type Allowance struct {
	name   string
	place  func() (string, error)
	giveUp func()

	mu      sync.Mutex
	seat    *seat // nil before the first use, and where there is none to be had
	broken  error // why there is none to be had
	told    bool  // somebody has heard that
	closed  bool
	late    bool      // see later
	idle    int       // nodes that the process has ahead of time
	grants  []*Grant  // oldest first
	waiters []*waiter // in the order in which they asked
}

// New returns a process's part in the allowance kept in a directory that place
// finds or makes, at the first use. name is what others read of it while
// they wait. giveUp is called, on a goroutine of
// its own, when others need the room of idle nodes; it may be nil.
func New(name string, place func() (string, error), giveUp func()) *Allowance {
	if giveUp == nil {
		giveUp = func() {}
	}
	return &Allowance{name: printable(name), place: place, giveUp: giveUp}
}

// A Request asks for the room of one cluster.
type Request struct {
	Nodes    int
	Total    int            // how many nodes may run at once
	Room     func() int     // how many more the memory that is free now bears; nil: any number
	Test     string         // who asks, for others to read
	Package  string         // the same; "": the name that New was given
	Holding  bool           // whoever asks has a cluster elsewhere: it must not wait
	Kept     bool           // the cluster stays until somebody ends it: who must be alone to have room does not wait for it
	Usable   func() int     // of the idle nodes of this process, how many the cluster is going to take; nil: none
	Announce func(s string) // is told what it waits for, after a second and now and then; may be nil
	Warn     func(s string) // is told if nothing is limited, once in a process; may be nil
}

// A Grant is room for a cluster. It ends with Release, or with the process.
type Grant struct {
	Over   int           // how many nodes there are beyond what may run at once
	Waited time.Duration // for others; 0 if there was room at once

	a       *Allowance
	nodes   int
	kept    bool
	test    string
	since   time.Time
	pending int // idle nodes that it has been granted for, and that have not been taken yet
}

// Busy is the error of a request whose time was up before there was room.
type Busy struct {
	Nodes, Used, Total int
	Waited             time.Duration
	Holders            []string // who has the rest, one a line
	Err                error    // the context's
}

func (e *Busy) Error() string {
	return fmt.Sprintf("no room on this machine after %v: %s", e.Waited.Round(time.Millisecond), e.text())
}

func (e *Busy) text() string {
	text := fmt.Sprintf("%s asked for, and %d of %d are in use", count(e.Nodes, "node", "nodes"), e.Used, e.Total)
	if len(e.Holders) > 0 {
		text += ": " + strings.Join(e.Holders, "; ")
	}
	return text
}

func (e *Busy) Unwrap() error { return e.Err }

// A waiter is a request that has not been granted yet.
type waiter struct {
	Request
	ticket uint64 // 0: not in the queue yet
	wake   chan struct{}
	begin  time.Time

	stuckID string // the process ahead that could take its turn, and since when
	stuck   time.Time
	passed  map[string]bool
	related bool // its ancestors have been looked at
}

const (
	announceAfter = time.Second
	announceEvery = 30 * time.Second

	// How often who waits looks whether somebody has died, which nobody tells: at
	// the head of the queue, and elsewhere in it.
	headTick  = 20 * time.Millisecond
	queueTick = 200 * time.Millisecond

	// patience is how long a process may leave its turn: it is stopped, perhaps.
	patience = time.Second
)

// Open has the first use behind it, while nobody waits.
func (a *Allowance) Open() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.update(func(*table) {})
}

// Acquire returns when there is room for a cluster, or a *Busy when ctx ends. A
// context that has ended already still gets what is free.
func (a *Allowance) Acquire(ctx context.Context, r Request) (*Grant, error) {
	w := &waiter{Request: r, wake: make(chan struct{}, 1), begin: time.Now()}
	w.Test = printable(w.Test)
	next := w.begin.Add(announceAfter)
	for {
		usable := 0
		if r.Usable != nil {
			usable = r.Usable()
		}
		g, busy, first := a.try(w, usable)
		if g != nil {
			return g, nil
		}
		now := time.Now()
		busy.Waited = now.Sub(w.begin)
		if now.After(next) {
			next = now.Add(announceEvery)
			if r.Announce != nil {
				r.Announce("for room on this machine: " + busy.text())
			}
		}
		tick := queueTick
		if first {
			tick = headTick
		}
		timer := time.NewTimer(tick)
		select {
		case <-w.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			a.withdraw(w)
			busy.Err = ctx.Err()
			return nil, busy
		}
		timer.Stop()
	}
}

// try grants a request if there is room, and puts it into the queue otherwise.
func (a *Allowance) try(w *waiter, usable int) (g *Grant, busy *Busy, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	grant := func(over int) {
		a.waiters = slices.DeleteFunc(a.waiters, func(o *waiter) bool { return o == w })
		g = &Grant{a: a, nodes: w.Nodes, kept: w.Kept, test: w.Test, since: time.Now(), Over: over, pending: min(usable, a.idle)}
		if w.ticket > 0 {
			g.Waited = time.Since(w.begin)
		}
		a.grants = append(a.grants, g)
		for _, o := range a.waiters { // what waits in a process that holds something need not
			o.nudge()
		}
	}
	var press []string
	own := false
	if w.Package != "" {
		a.name = printable(w.Package)
	}
	err := a.update(func(t *table) {
		q := ask{
			nodes: w.Nodes, idle: min(usable, a.idle), ticket: w.ticket, total: w.Total, room: w.Room,
			holding: w.Holding || a.holds(), passed: w.passed,
		}
		if a.seat != nil {
			q.id = a.seat.id
		}
		if w.ticket == 0 {
			q.ticket = t.next
		}
		// One of a process's requests at a time stands in the queue.
		turn := q.holding || len(a.waiters) == 0 || a.waiters[0] == w
		var v verdict
		if turn {
			v = t.judge(q)
		}
		if !v.granted && turn {
			if a.prune(t) {
				v = t.judge(q)
			}
			if !v.granted && !w.related {
				w.related = true
				w.Holding = a.descends(t)
				q.holding = w.Holding
				v = t.judge(q)
			}
			if !v.granted && !v.first && w.passes(t, &q) {
				v = t.judge(q)
			}
		}
		if v.granted {
			grant(v.over)
			return
		}
		if w.ticket == 0 {
			w.ticket = t.next
			t.next++
			q.ticket = w.ticket
			a.waiters = append(a.waiters, w)
		}
		busy = &Busy{Nodes: w.Nodes, Total: w.Total}
		busy.Holders, busy.Used = t.holders(q, time.Now())
		first = v.first
		if first {
			for i := range t.records {
				if r := &t.records[i]; r.spare > 0 && r.id != q.id {
					press = append(press, r.id)
				}
			}
			own = a.spare() > q.idle
		}
	})
	if err != nil {
		// Nobody can be asked. Tests are worth more than the limit.
		if g == nil {
			grant(0)
		}
		if !a.told && w.Warn != nil {
			a.told = true
			w.Warn(fmt.Sprintf("the number of nodes that run at once on this machine is not limited: %v", err))
		}
		return g, nil, false
	}
	for _, id := range press {
		a.seat.wake(id)
	}
	if own {
		go a.giveUp()
	}
	return g, busy, first
}

// passes looks whether the process at the head of the queue leaves its turn, and
// reports whether it has done so for too long.
func (w *waiter) passes(t *table, q *ask) bool {
	head := t.ahead(*q)
	if head == nil {
		return false
	}
	could := t.judge(ask{id: head.id, nodes: head.wants, ticket: head.ticket, total: w.Total, room: w.Room, passed: w.passed})
	if !could.granted {
		w.stuckID = ""
		return false
	}
	if w.stuckID != head.id {
		w.stuckID, w.stuck = head.id, time.Now()
		return false
	}
	if time.Since(w.stuck) < patience {
		return false
	}
	if w.passed == nil {
		w.passed = make(map[string]bool)
		q.passed = w.passed
	}
	w.passed[head.id] = true
	w.stuckID = ""
	return true
}

func (w *waiter) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// withdraw takes a request out of the queue.
func (a *Allowance) withdraw(w *waiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiters = slices.DeleteFunc(a.waiters, func(o *waiter) bool { return o == w })
	a.update(func(*table) {})
	if len(a.waiters) > 0 {
		a.waiters[0].nudge()
	}
}

// holds reports whether a test of this process has a cluster.
func (a *Allowance) holds() bool {
	return slices.ContainsFunc(a.grants, func(g *Grant) bool { return !g.kept })
}

// Release gives the room back: the cluster's nodes have ended, or are idle ones
// that Idle has been told of.
func (g *Grant) Release() {
	a := g.a
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.grants)
	a.grants = slices.DeleteFunc(a.grants, func(o *Grant) bool { return o == g })
	if len(a.grants) < n {
		a.update(func(*table) {})
	}
}

// Reserve reports whether the process may start n idle nodes, and counts them if
// so. They must be told of by Idle before anything else happens to them.
func (a *Allowance) Reserve(n, total int, room func() int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiters) > 0 {
		return false
	}
	ok := false
	err := a.update(func(t *table) {
		q := ask{nodes: n, total: total, room: room}
		ok = t.spares(q) || a.prune(t) && t.spares(q)
		if ok {
			a.idle += n
		}
	})
	return ok || err != nil
}

// Idle tells how many idle nodes the process has now, and which grant those
// were for that are not idle any more; nil if for none.
func (a *Allowance) Idle(n int, g *Grant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.spare()
	a.idle = n
	if g != nil {
		g.pending = 0
	}
	if a.spare() < before && a.seat != nil {
		a.update(func(*table) {})
		if len(a.waiters) > 0 {
			a.waiters[0].nudge()
		}
	}
}

// spare is how many idle nodes nobody has.
func (a *Allowance) spare() int {
	n := a.idle
	for _, g := range a.grants {
		n -= g.pending
	}
	return max(n, 0)
}

// own is what the table is to say of this process.
func (a *Allowance) own(r record) record {
	r.name, r.test, r.since = a.name, "", 0
	r.tests, r.kept, r.spare, r.wants, r.ticket = 0, 0, min(a.spare(), mostNodes), 0, 0
	for i, g := range a.grants {
		if g.kept {
			r.kept = min(r.kept+g.nodes, mostNodes)
		} else {
			r.tests = min(r.tests+g.nodes, mostNodes)
		}
		if i == 0 {
			r.test, r.since = g.test, g.since.UnixMilli()
		}
	}
	if len(a.grants) > 1 {
		r.test = fmt.Sprintf("%s and %d more", r.test, len(a.grants)-1)
	}
	if len(a.waiters) > 0 && !a.holds() {
		w := a.waiters[0]
		r.wants, r.ticket = min(w.Nodes, mostNodes), w.ticket
	}
	return r
}

// nudged is called when another process has written into this one's pipe: it
// has made room, needs some, or has lost the table.
func (a *Allowance) nudged() {
	a.mu.Lock()
	give := false
	a.update(func(t *table) {
		if a.seat == nil || a.spare() == 0 {
			return
		}
		q := ask{id: a.seat.id, ticket: t.next}
		if len(a.waiters) > 0 {
			q.ticket = a.waiters[0].ticket
		}
		give = t.ahead(q) != nil
	})
	for _, w := range a.waiters {
		w.nudge()
	}
	a.mu.Unlock()
	if give {
		a.giveUp()
	}
}
