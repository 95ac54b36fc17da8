package links

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/distkit/dist/runtime/network"
)

// A mailbox is where datagrams to a node arrive, and where those of its own that
// it sends from the socket that it binds leave again: others see them come from
// its address, and may answer to that.
type mailbox struct {
	node   int
	conn   *net.UDPConn   // at addr
	addr   netip.AddrPort // what others send to
	behind netip.AddrPort // what the node binds
	marks  chan string    // what it has sent to itself
}

// datagrams are what a Network has for them. Its fields are guarded by the
// network's mu.
type datagrams struct {
	boxes   map[netip.AddrPort]*mailbox // by what the node binds
	flows   map[flowKey]*flow
	chances map[network.Pair]*chance
	sockets int           // of flows
	seen    bool          // there has been a flow
	failed  error         // why some datagram had no flow, or a connection no link; told once
	idle    time.Duration // after which a flow's socket is closed
	sweeper bool          // somebody looks for those
	drained int           // how often drain was called
}

const (
	// maxDatagram is the most that UDP carries.
	maxDatagram = 1<<16 - 1
	// idleFlow is how long nothing is sent before a flow is forgotten.
	idleFlow = 2 * time.Minute
	// maxSockets bounds what senders of one socket for each question take up.
	maxSockets = 256
	// fresh is how long it is believed that a socket is still the same process's.
	fresh = time.Second
)

// buffers are kept from one cluster to the next: clearing them would be most of
// what a mailbox takes.
var buffers = sync.Pool{New: func() any { return new([maxDatagram]byte) }}

func newDatagrams() datagrams {
	return datagrams{
		boxes: make(map[netip.AddrPort]*mailbox), flows: make(map[flowKey]*flow),
		chances: make(map[network.Pair]*chance), idle: idleFlow,
	}
}

type flowKey struct {
	source netip.AddrPort
	box    *mailbox
}

// A flow is the datagrams that one socket sends to a node, and the answers.
//
// What comes from a socket that a node binds leaves by that node's mailbox, and
// the answers are a flow of their own. Any other socket has one here that stands
// for it.
type flow struct {
	flowKey
	from     int          // a node, or outside; guarded by the network's mu
	conn     *net.UDPConn // that stands for source; nil where a mailbox does
	up, down *route
	used     time.Time // guarded by the network's mu
}

// post has a mailbox work. n.mu is held.
func (n *Network) post(b *mailbox) {
	b.marks = make(chan string, 1)
	n.boxes[b.behind] = b
	n.going.Go(func() {
		buf := buffers.Get().(*[maxDatagram]byte)
		defer buffers.Put(buf)
		for {
			size, source, err := b.conn.ReadFromUDPAddrPort(buf[:])
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			if source == b.addr {
				select {
				case b.marks <- string(buf[:size]):
				default:
				}
				continue
			}
			if f := n.flow(flowKey{source, b}); f != nil {
				f.up.send(buf[:size])
			}
		}
	})
}

// drainPatience is how long a mailbox may take to get to what it has sent to
// itself: it may lose that, too.
const drainPatience = time.Second

// drain returns when what has been sent to nodes so far has met the conditions
// that there are: what was sent across a cut does not arrive because the cut ends
// before anybody has looked at it.
func (n *Network) drain() {
	n.mu.Lock()
	boxes := slices.Collect(maps.Values(n.boxes))
	n.drained++
	mark := strconv.Itoa(n.drained)
	n.mu.Unlock()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for _, b := range boxes {
		for begin := time.Now(); time.Since(begin) < drainPatience; {
			if _, err := b.conn.WriteToUDPAddrPort([]byte(mark), b.addr); err != nil {
				break
			}
			got := ""
			for timeout := false; got != mark && !timeout; {
				select {
				case got = <-b.marks:
				case <-again.C:
					timeout = true
				}
			}
			if got == mark {
				break
			}
		}
	}
}

// flow returns what a datagram belongs to; nil if it must be given up. It is
// called by the goroutine of the mailbox only.
func (n *Network) flow(key flowKey) *flow {
	now := time.Now()
	n.mu.Lock()
	f := n.flows[key]
	known := f != nil && (f.conn == nil || now.Sub(f.used) < fresh)
	if f != nil {
		f.used = now
	}
	sender := n.boxes[key.source]
	n.mu.Unlock()
	if known {
		return f
	}
	if f != nil {
		n.identify(f)
		return f
	}
	f = &flow{flowKey: key, used: now}
	if sender != nil {
		f.from = sender.node
		f.up = newRoute(sender.conn, key.box.behind)
	} else if err := n.open(f); err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.closed {
			n.failed = fmt.Errorf("datagrams from %v to node-%d were lost: %w", key.source, key.box.node+1, err)
		}
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		if f.conn != nil {
			f.conn.Close()
		}
		return nil
	}
	n.seen = true
	n.flows[key] = f
	n.apply(f)
	if f.conn != nil {
		n.going.Go(func() { n.answer(f) })
		if n.sockets++; n.sockets > maxSockets {
			n.forget(n.idlest())
		}
		if !n.sweeper {
			n.sweeper = true
			n.going.Go(n.sweep)
		}
	}
	return f
}

// open finds out who sends in a flow, and gets it a socket.
func (n *Network) open(f *flow) error {
	f.from = n.finder.find(udp, f.source, f.box.addr, n.pids())
	var local *net.UDPAddr
	n.mu.Lock()
	for _, b := range n.boxes {
		if b.node == f.from { // what it sends comes from its host
			local = &net.UDPAddr{IP: b.addr.Addr().AsSlice()}
		}
	}
	n.mu.Unlock()
	conn, err := net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(f.box.behind))
	if outOfFiles(err) {
		n.mu.Lock()
		old := n.idlest()
		if old != nil {
			n.forget(old)
		}
		n.mu.Unlock()
		if old != nil {
			conn, err = net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(f.box.behind))
		}
	}
	if outOfFiles(err) {
		return fmt.Errorf("no socket is left for them: %w: raise the limit of open files (ulimit -n) for the test", err)
	}
	if err != nil {
		return err
	}
	f.conn = conn
	f.up = newRoute(conn, netip.AddrPort{})
	f.down = newRoute(f.box.conn, f.source)
	return nil
}

func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// identify finds out again who sends in a flow: its socket may be another one by
// now, or that of a process that was not known yet.
func (n *Network) identify(f *flow) {
	from := n.finder.find(udp, f.source, f.box.addr, n.pids())
	n.mu.Lock()
	defer n.mu.Unlock()
	if from != unknown && from != f.from {
		f.from = from
		n.apply(f)
	}
}

// lookAgainAtFlows identifies all of them.
func (n *Network) lookAgainAtFlows() {
	var flows []*flow
	n.mu.Lock()
	for _, f := range n.flows {
		if f.conn != nil {
			flows = append(flows, f)
		}
	}
	n.mu.Unlock()
	for _, f := range flows {
		n.identify(f)
	}
}

// answer passes on what comes back in a flow, until it is forgotten.
func (n *Network) answer(f *flow) {
	buf := buffers.Get().(*[maxDatagram]byte)
	defer buffers.Put(buf)
	for {
		size, err := f.conn.Read(buf[:])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // nobody receives there, which a sender across a network is not told
		}
		n.mu.Lock()
		f.used = time.Now()
		n.mu.Unlock()
		f.down.send(buf[:size])
	}
}

// apply has the conditions of now hold for a flow. n.mu is held.
func (n *Network) apply(f *flow) {
	up, down := n.between(f.from, f.box.node)
	f.up.set(up, n.chance(network.Pair{From: f.from, To: f.box.node}, up))
	if f.down != nil {
		f.down.set(down, n.chance(network.Pair{From: f.box.node, To: f.from}, down))
	}
}

// idlest is the flow with a socket that has been idle for the longest time; nil
// if there is none. n.mu is held.
func (n *Network) idlest() (idlest *flow) {
	for _, f := range n.flows {
		if f.conn != nil && (idlest == nil || f.used.Before(idlest.used)) {
			idlest = f
		}
	}
	return idlest
}

// forget ends a flow that has a socket. n.mu is held.
func (n *Network) forget(f *flow) {
	delete(n.flows, f.flowKey)
	n.sockets--
	f.end()
}

func (f *flow) end() {
	f.up.end()
	if f.conn != nil {
		f.conn.Close()
		f.down.end()
	}
}

// sweep forgets flows that are idle, as long as there are any.
func (n *Network) sweep() {
	n.mu.Lock()
	tick := time.NewTicker(n.idle / 4)
	n.mu.Unlock()
	defer tick.Stop()
	for {
		select {
		case <-n.done:
			return
		case <-tick.C:
		}
		n.mu.Lock()
		for _, f := range n.flows {
			if f.conn != nil && time.Since(f.used) > n.idle {
				n.forget(f)
			}
		}
		n.sweeper = n.sockets > 0
		again := n.sweeper
		n.mu.Unlock()
		if !again {
			return
		}
	}
}

// receiving reports whether any node gets datagrams, or has.
func (n *Network) receiving() bool {
	n.mu.Lock()
	seen := n.seen
	var ends []netip.AddrPort
	for end := range n.boxes {
		ends = append(ends, end)
	}
	n.mu.Unlock()
	for _, end := range ends {
		seen = seen || n.finder.bound(udp, end)
	}
	return seen
}

// closeDatagrams ends all flows. n.mu is held.
func (n *Network) closeDatagrams() {
	for _, b := range n.boxes {
		b.conn.Close()
	}
	for _, f := range n.flows {
		f.end()
	}
}

// A chance decides what is lost between two nodes. The fate of the first, second
// and third datagram follows from the seed.
type chance struct {
	seed uint64
	mu   sync.Mutex
	rand *rand.Rand
}

// chance returns what decides for a pair under a condition. n.mu is held.
func (n *Network) chance(p network.Pair, c network.Condition) *chance {
	if c.Loss == 0 {
		delete(n.chances, p)
		return nil
	}
	ch := n.chances[p]
	if ch == nil || ch.seed != c.Seed {
		ch = &chance{seed: c.Seed, rand: rand.New(rand.NewPCG(c.Seed, uint64(p.From)<<32|uint64(p.To)))}
		n.chances[p] = ch
	}
	return ch
}

func (c *chance) loses(fraction float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.Float64() < fraction
}

// A route is one direction of a flow.
type route struct {
	conn *net.UDPConn
	to   netip.AddrPort // not valid where conn is connected

	mu        sync.Mutex // held while a datagram is written, which does not block
	condition network.Condition
	chance    *chance // nil where nothing is lost
	queue     []parcel
	queued    int  // bytes in queue
	writer    bool // somebody works on the queue
	wake      chan struct{}
	pace      pace
	lost      int // datagrams, to cuts and by chance
	ended     bool
}

func newRoute(conn *net.UDPConn, to netip.AddrPort) *route {
	return &route{conn: conn, to: to, wake: make(chan struct{}, 1)}
}

// set changes the conditions. When it returns nothing is written any more that
// they forbid. What is held back on a route that is cut is lost.
func (r *route) set(c network.Condition, ch *chance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chance = ch
	if c == r.condition {
		return
	}
	if shaped(r.condition) && !shaped(c) {
		for i := range r.queue {
			r.queue[i].due = time.Time{}
		}
		r.pace = pace{}
	}
	r.condition = c
	if c.Cut {
		r.drop()
	}
	r.hurry()
}

// drop loses what is held back.
func (r *route) drop() {
	r.queue, r.queued, r.pace = nil, 0, pace{}
}

// hurry has who works on the queue look at it.
func (r *route) hurry() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *route) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.drop()
	r.hurry()
}

// send sends a datagram on, now or when it is due, if it is not lost.
func (r *route) send(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.condition
	switch {
	case r.ended || c.Cut || r.chance != nil && r.chance.loses(c.Loss):
		r.lost++
	case !shaped(c) && len(r.queue) == 0:
		r.write(b)
	case len(r.queue) > 0 && r.queued+len(b) > capacity(c):
		// The queue is full: there is nobody to wait for it.
	default:
		r.queue = append(r.queue, parcel{bytes: append([]byte(nil), b...), due: r.pace.next(c, len(b), time.Now())})
		r.queued += len(b)
		if !r.writer {
			r.writer = true
			go r.workOff()
		}
	}
}

// workOff writes what is in the queue, each when it is due.
func (r *route) workOff() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 {
		p := r.queue[0]
		if wait := time.Until(p.due); wait > 0 {
			r.mu.Unlock()
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-r.wake:
			}
			timer.Stop()
			r.mu.Lock()
			continue
		}
		r.queue[0] = parcel{}
		r.queue = r.queue[1:]
		r.queued -= len(p.bytes)
		r.write(p.bytes)
	}
	r.writer = false
}

// write writes a datagram. Like any network, it says nothing of what becomes of
// it.
func (r *route) write(b []byte) {
	if r.to.IsValid() {
		r.conn.WriteToUDPAddrPort(b, r.to)
	} else {
		r.conn.Write(b)
	}
}
