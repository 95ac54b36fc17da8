package links

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/network"
)

// A link is one connection to a node, with the proxy in its middle.
type link struct {
	from, to int // from outside, too; guarded by the network's mu
	client   *net.TCPConn
	up, down *half // from the client to the node, and back

	ctx    context.Context // until the link has ended
	cancel context.CancelFunc

	mu      sync.Mutex
	changed sync.Cond          // on anything below, and in the halves
	server  *net.TCPConn       // nil until the node has been reached
	holding bool               // the connection waits to be let through to the node
	dialing context.CancelFunc // gives up a try at that; nil if none is made
	ended   bool
}

// A half is one direction of a link. Its fields are guarded by the link's mu,
// which is not held while bytes are written.
type half struct {
	*link
	src, dst  *net.TCPConn
	condition network.Condition

	writing     bool // something is on its way to dst
	interrupted bool // dst has a deadline that has passed
	parked      bool // something waits for the end of a cut

	// What is held back by delay or bandwidth. In between there is nothing here,
	// and whoever reads writes himself.
	queue  []parcel
	queued int           // bytes in queue
	writer bool          // somebody works on the queue
	wake   chan struct{} // the queue's times have changed
	pace   pace
}

// A parcel is what one end has sent: bytes, or that there are no more.
type parcel struct {
	bytes []byte
	what  kind
	due   time.Time
}

type kind int

const (
	data  kind = iota
	fin        // the sender has closed its half
	reset      // the sender has reset the connection
)

var errEnded = errors.New("the link has ended")

func newLink(client *net.TCPConn, to int) *link {
	l := &link{to: to, client: client}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.changed.L = &l.mu
	l.up = &half{link: l, src: client, wake: make(chan struct{}, 1)}
	l.down = &half{link: l, dst: client, wake: make(chan struct{}, 1)}
	return l
}

// work reaches the node and has bytes flow until both ends have closed. The error
// is about what this process has too few of.
func (l *link) work(to string) error {
	defer l.end(false)
	server, err := l.reach(to)
	if err != nil {
		l.end(true) // nobody listens there: a proxy cannot refuse any more
		if scarce(err) {
			return err
		}
		return nil
	}
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		server.SetLinger(0)
		server.Close()
		return nil
	}
	l.server, l.up.dst, l.down.src = server, server, server
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(l.up.run)
	both.Go(l.down.run)
	both.Wait()
	return nil
}

// scarcePatience is how long a connection waits for a descriptor, every
// scarcePause of which it looks for one.
const (
	scarcePatience = time.Second
	scarcePause    = 10 * time.Millisecond
)

// behind is the address from which the node was reached, if it was.
func (l *link) behind() (netip.AddrPort, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == nil {
		return netip.AddrPort{}, false
	}
	return addrPort(l.server.LocalAddr()), true
}

// reach connects to the node as soon as neither direction is cut: a handshake
// takes both.
func (l *link) reach(to string) (*net.TCPConn, error) {
	held := false
	var since time.Time // a descriptor has been wanted
	for {
		l.mu.Lock()
		for !l.ended && (l.up.condition.Cut || l.down.condition.Cut) {
			l.holding, held = true, true
			l.changed.Wait()
		}
		l.holding = false
		if l.ended {
			l.mu.Unlock()
			return nil, errEnded
		}
		ctx, cancel := context.WithCancel(context.Background())
		l.dialing = cancel
		l.changed.Broadcast()
		l.mu.Unlock()

		var c net.Conn
		err := errEnded
		// Who has given up in the meantime had not been connected, on a network:
		// what it wrote must not arrive now.
		if raw, e := l.client.SyscallConn(); !held || e == nil && !hasLeft(raw) {
			c, err = (&net.Dialer{}).DialContext(ctx, "tcp4", to)
		}
		l.mu.Lock()
		given := ctx.Err() != nil && !l.ended
		l.dialing = nil
		l.changed.Broadcast()
		l.mu.Unlock()
		cancel()
		if err == nil {
			return c.(*net.TCPConn), nil
		}
		if given {
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		if !scarce(err) || time.Since(since) > scarcePatience {
			return nil, err
		}
		select {
		case <-l.ctx.Done():
		case <-time.After(scarcePause):
		}
	}
}

// end ends the link at once, by a reset at both ends if they are to know that it
// was not in order. It reports whether there was anything to end.
func (l *link) end(hard bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.ended = true
	l.cancel()
	l.hurry()
	for _, c := range []*net.TCPConn{l.client, l.server} {
		if c != nil {
			if hard {
				c.SetLinger(0)
			}
			c.Close()
		}
	}
	l.changed.Broadcast()
	return true
}

// dialPatience is what a connection to a node has to come to be, when somebody
// waits for it.
const dialPatience = time.Second

// hurry bounds the try to reach the node. On loopback it is over in a moment,
// unless the node has more connections waiting than it takes. It is not given up
// at once: the node may have the connection already, and would see it end.
func (l *link) hurry() {
	if l.dialing != nil {
		time.AfterFunc(dialPatience, l.dialing)
	}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// set changes the conditions, and interrupts what is not to happen any more.
func (l *link) set(up, down network.Condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up.set(up)
	l.down.set(down)
	if up.Cut || down.Cut {
		l.hurry()
	}
	l.changed.Broadcast()
}

func (h *half) set(c network.Condition) {
	if c == h.condition {
		return
	}
	if shaped(h.condition) && !shaped(c) {
		for i := range h.queue {
			h.queue[i].due = time.Time{}
		}
		h.pace = pace{}
	}
	h.condition = c
	if c.Cut && h.writing && !h.interrupted {
		h.interrupted = true
		h.dst.SetWriteDeadline(longAgo)
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// settle returns when what is cut has stopped, and what is not goes on.
func (l *link) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.ended {
		cut := l.up.condition.Cut || l.down.condition.Cut
		if !l.up.unsettled() && !l.down.unsettled() && !(cut && l.dialing != nil) && !(!cut && l.holding) {
			return
		}
		l.changed.Wait()
	}
}

func (h *half) unsettled() bool {
	if h.condition.Cut {
		return h.writing
	}
	return h.parked
}

// What is read at once: little of most connections, which are many, and as much
// of a stream as makes it as fast as splicing it would.
const (
	smallRead = 32 << 10
	largeRead = 1 << 20
)

// run passes on what src sends, to the end.
func (h *half) run() {
	buf := make([]byte, smallRead)
	for {
		n, err := h.src.Read(buf)
		p := parcel{bytes: buf[:n]}
		if n == 0 {
			switch err {
			case nil:
				continue
			case io.EOF:
				p.what = fin
			default:
				p.what = reset
			}
		}
		if h.pass(p) != nil || p.what != data {
			return
		}
		if n == len(buf) && n < largeRead {
			buf = make([]byte, min(4*n, largeRead))
		}
	}
}

// pass sends a parcel on, or leaves it to the queue. It returns when it may be
// followed by another.
func (h *half) pass(p parcel) error {
	h.mu.Lock()
	if !h.writer && !shaped(h.condition) {
		h.mu.Unlock()
		return h.write(p)
	}
	defer h.mu.Unlock()
	for rest := p.bytes; ; {
		for h.queued > 0 && h.queued >= capacity(h.condition) && !h.ended {
			h.changed.Wait()
		}
		if h.ended {
			return errEnded
		}
		one := parcel{what: p.what}
		size := min(len(rest), piece(h.condition))
		one.bytes, rest = append([]byte(nil), rest[:size]...), rest[size:]
		h.enqueue(one)
		if len(rest) == 0 {
			break
		}
	}
	if p.what == data {
		return nil
	}
	for h.writer { // nothing follows: the half has ended when it is through
		h.changed.Wait()
	}
	return nil
}

// enqueue adds to the queue, and finds out when it is to arrive.
func (h *half) enqueue(p parcel) {
	p.due = h.pace.next(h.condition, len(p.bytes), time.Now())
	h.queue = append(h.queue, p)
	h.queued += len(p.bytes)
	if !h.writer {
		h.writer = true
		go h.workOff()
	}
}

// piece is the most that arrives at once.
func piece(c network.Condition) int {
	if c.Bandwidth == 0 {
		return 256 << 10
	}
	return int(min(256<<10, max(512, c.Bandwidth/100)))
}

// workOff writes what is in the queue, each when it is due.
func (h *half) workOff() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queue) > 0 && !h.ended {
		p := h.queue[0]
		if wait := time.Until(p.due); wait > 0 {
			h.mu.Unlock()
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-h.wake:
			case <-h.ctx.Done():
			}
			timer.Stop()
			h.mu.Lock()
			continue
		}
		h.queue[0] = parcel{}
		h.queue = h.queue[1:]
		h.mu.Unlock()
		err := h.write(p)
		h.mu.Lock()
		h.queued -= len(p.bytes)
		h.changed.Broadcast()
		if err != nil {
			break
		}
	}
	h.writer = false
	h.changed.Broadcast()
}

// write writes a parcel to dst, while the direction is not cut. Everything that
// arrives there comes through here.
func (h *half) write(p parcel) error {
	for {
		h.mu.Lock()
		for h.condition.Cut && !h.ended {
			h.parked = true
			h.changed.Wait()
		}
		h.parked = false
		if h.ended {
			h.changed.Broadcast()
			h.mu.Unlock()
			return errEnded
		}
		if h.interrupted {
			h.interrupted = false
			h.dst.SetWriteDeadline(time.Time{})
		}
		h.writing = true
		h.changed.Broadcast()
		h.mu.Unlock()

		var n int
		var err error
		switch p.what {
		case data:
			n, err = h.dst.Write(p.bytes)
		case fin:
			err = h.dst.CloseWrite()
		case reset:
			h.end(true)
		}
		h.mu.Lock()
		h.writing = false
		h.changed.Broadcast()
		h.mu.Unlock()
		p.bytes = p.bytes[n:]
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			h.refused()
			return err
		}
	}
}

// refused tells src that dst is gone. That comes from dst: it is held up by a
// cut of the other direction.
func (h *half) refused() {
	back := h.up
	if h == h.up {
		back = h.down
	}
	h.mu.Lock()
	for back.condition.Cut && !h.ended {
		h.changed.Wait()
	}
	h.mu.Unlock()
	h.end(true)
}
