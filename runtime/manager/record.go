package manager

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/events"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/wire"
)

// Record has what becomes of clusters recorded, and what nodes print. It must be
// called before any is acquired.
func (m *Manager) Record(r *events.Recorder, logs *events.Logs) { m.events, m.logs = r, logs }

func (r *Request) recordDecision(d Decision) {
	r.events.Add(events.Event{Kind: events.Decision, Test: r.Test, Size: d.Nodes, Outcome: string(d.Action), Reason: d.Reason})
}

func (r *Request) recordRetry(t Try) {
	r.events.Add(events.Event{Kind: events.Retry, Test: r.Test, At: r.events.Now() - t.Pause, Dur: t.Pause, Reason: t.Why, Code: string(t.diagnosis.Code)})
}

// recordStart tells of a process that has become a node, or that was to.
func (n *binaryNode) recordStart(c *candidate, err error) {
	r := n.c.m.events
	if r == nil || c.used && err == nil {
		return
	}
	e := events.Event{Kind: events.Start, At: r.Since(c.began), Test: n.c.request.Test, Cluster: n.c.ID, Node: n.name, Outcome: events.OK}
	end := time.Now()
	if c.isReady() {
		end = c.answered
	}
	e.Dur = end.Sub(c.began)
	select {
	case <-c.spawned:
		if c.process != nil {
			e.PID = c.process.PID()
		}
	default: // ctx has ended first
	}
	if err != nil {
		e.Outcome, e.Error = events.Error, whatIs(err).Line("")
	}
	for _, port := range n.c.request.Requirement.Ports {
		e.Addrs = append(e.Addrs, port+"="+n.Addr(port))
		if l := n.listenAddr(port); l != n.Addr(port) {
			e.Addrs = append(e.Addrs, port+"="+l)
		}
	}
	r.Add(e)
}

// recordStart tells of a program's node that was started for a lease. How long
// that took its owner knows.
func (c *programCluster) recordStart() {
	r := c.m.events
	if r == nil {
		return
	}
	for _, n := range c.info.Nodes {
		e := events.Event{Kind: events.Start, At: max(r.Since(c.info.Started), 1), Test: c.request.Test, Cluster: c.ID, Node: n.Name, PID: n.PID, What: c.info.Program, Outcome: events.OK, Reused: c.info.Reused}
		for port, addr := range n.Addr {
			e.Addrs = append(e.Addrs, port+"="+addr)
		}
		slices.Sort(e.Addrs)
		r.Add(e)
		c.m.logs.Follow(n.Log, c.request.Test, n.Name)
	}
}

// ended is told when a process has ended, just before anybody else.
func (i *inbox) ended(p engine.Node) {
	if n := i.node.Load(); n != nil {
		n.recordExit(p)
	}
}

func (n *binaryNode) recordExit(p engine.Node) {
	r := n.c.m.events
	if r == nil {
		return
	}
	exit := p.Exit()
	e := events.Event{Kind: events.Exit, Test: n.c.request.Test, Cluster: n.c.ID, Node: n.name, PID: p.PID(), Text: exit.String(), Outcome: events.Crashed}
	e.Reason = n.lives.Asked()
	switch {
	case exit.Signal != "" && e.Reason != "":
		e.Outcome = events.Killed
	case exit.Signal == "" && exit.Code == 0:
		e.Outcome = events.OK
	}
	r.Add(e)
}

// longCall is how long a call lasts before it is told that it has begun.
const longCall = 100 * time.Millisecond

// watchCalls sees to it that long calls are told of. While none is made nothing
// happens.
func (c *binaryCluster) watchCalls() {
	if c.m.events != nil && !c.watching.Load() && c.watching.CompareAndSwap(false, true) {
		time.AfterFunc(longCall, c.lookAtCalls)
	}
}

func (c *binaryCluster) lookAtCalls() {
	c.watching.Store(false)
	if c.recordPending(longCall) {
		c.watchCalls()
	}
}

// recordPending tells of calls that have been going on for a time, and reports
// whether there are others.
func (c *binaryCluster) recordPending(least time.Duration) (others bool) {
	r := c.m.events
	if r == nil {
		return false
	}
	for _, n := range c.nodes {
		n.mu.Lock()
		for p := range n.pending {
			switch {
			case p.method == "" || p.id != 0:
			case time.Since(p.Since) < least:
				others = true
			default:
				p.id = r.ID()
				r.Add(events.Event{Kind: events.Call, At: r.Since(p.Since), ID: p.id, Test: c.request.Test, Cluster: c.ID, Node: n.name, What: shortName(p.method)})
			}
		}
		n.mu.Unlock()
	}
	return others
}

// RecordPending tells of the calls that have not returned.
func (l *Lease) RecordPending() {
	if c, ok := l.cluster.(*binaryCluster); ok {
		c.recordPending(0)
	}
}

// recordCall tells of a call that has returned.
func (n *binaryNode) recordCall(p *Pending, bytes int, err error) {
	r := n.c.m.events
	if r == nil || p.method == "" {
		return
	}
	e := events.Event{Kind: events.CallDone, At: r.Since(p.Since), Dur: time.Since(p.Since), Test: n.c.request.Test, Cluster: n.c.ID, Node: n.name, What: shortName(p.method), Bytes: bytes, Outcome: events.OK}
	n.mu.Lock()
	e.ID = p.id
	n.mu.Unlock()
	if err != nil {
		e.Outcome, e.Error = outcome(err), err.Error()
		if lost, ok := errors.AsType[*LostError](err); ok && lost.Diagnosis != nil {
			e.Code = string(lost.Diagnosis.Code)
		}
	}
	r.Add(e)
}

// outcome is how what has failed with an error is said to have ended.
func outcome(err error) string {
	if _, ok := errors.AsType[*LostError](err); ok {
		return events.Lost
	}
	if _, ok := errors.AsType[*wire.PanicError](err); ok {
		return events.Panic
	}
	if _, ok := errors.AsType[*wire.RemoteError](err); ok {
		return events.Error
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return events.Ended
	}
	return events.Error
}

// recordBarrier tells of a wait at a barrier that is over.
func (c *binaryCluster) recordBarrier(who int, name string, begin time.Time, err error) {
	r := c.m.events
	if r == nil {
		return
	}
	e := events.Event{Kind: events.Barrier, At: r.Since(begin), Dur: time.Since(begin), Test: c.request.Test, Cluster: c.ID, What: name, Outcome: events.OK}
	if who != theTest {
		e.Node = nodeName(who)
	}
	if err != nil {
		e.Outcome, e.Error = outcome(err), err.Error()
	}
	r.Add(e)
}

// RecordFault tells of something done to a node.
func (l *Lease) RecordFault(what, node, text string, begin time.Time, err error) {
	r := l.request.events
	if r == nil {
		return
	}
	e := events.Event{Kind: events.Fault, At: r.Since(begin), Dur: time.Since(begin), Test: l.Test(), Cluster: l.ID, Node: node, What: what, Text: text, Outcome: events.OK}
	if err != nil {
		e.Outcome, e.Error = outcome(err), err.Error()
	}
	r.Add(e)
}

// A netFault is something done to the network of a lease, by the names it has in
// events and in errors.
type netFault struct {
	what, op   string
	node, peer string
}

// recordNet tells of it, with all pairs that are cut from now on.
func (l *Lease) recordNet(f netFault, m map[network.Pair]network.Condition, begin time.Time, err error) {
	r := l.request.events
	if r == nil {
		return
	}
	e := events.Event{Kind: events.Fault, At: r.Since(begin), Dur: time.Since(begin), Test: l.Test(), Cluster: l.ID, Node: f.node, Peer: f.peer, What: f.what, Text: f.op, Outcome: events.OK, Pairs: [][2]string{}}
	for p, c := range m {
		if c.Cut {
			e.Pairs = append(e.Pairs, [2]string{nodeName(p.From), nodeName(p.To)})
		}
	}
	slices.SortFunc(e.Pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	if err != nil {
		e.Outcome, e.Error = outcome(err), err.Error()
	}
	r.Add(e)
}

// recordLease tells of a lease that has ended.
func (l *Lease) recordLease(left []string) {
	r := l.request.events
	if r == nil {
		return
	}
	e := events.Event{Kind: events.Lease, At: r.Since(l.began), Dur: time.Since(l.began), Test: l.Test(), Cluster: l.ID, Size: l.Size(), Reused: l.Reused(), Reason: l.Decision.Reason}
	for _, n := range l.Nodes {
		e.Nodes = append(e.Nodes, n.Name())
	}
	r.Add(e)
	for _, what := range left {
		r.Add(events.Event{Kind: events.Leak, Test: l.Test(), Cluster: l.ID, Text: what})
	}
}

// recordDiagnosis tells of what went wrong.
func (l *Lease) recordDiagnosis(node string, d *diagnostics.Diagnosis) {
	if l == nil || d == nil {
		return
	}
	l.request.events.Add(events.Event{Kind: events.Diagnose, Test: l.Test(), Cluster: l.ID, Node: node, Code: string(d.Code), Text: d.Error()})
}

// functionOf is the name of the user's function that a method stands for; "" for
// one of ours.
func functionOf(method string) string {
	name, ok := strings.CutPrefix(method, MethodFunc)
	if !ok {
		return ""
	}
	return name
}
