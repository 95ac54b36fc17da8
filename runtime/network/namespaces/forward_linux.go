package namespaces

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Forwarders are how this process, and all others that are not in a node's
// network, reach the nodes: under the same addresses.
type forwarders struct {
	ctx    context.Context
	cancel context.CancelFunc
	going  sync.WaitGroup
	mu     sync.Mutex
	open   map[io.Closer]bool
}

func newForwarders() forwarders {
	ctx, cancel := context.WithCancel(context.Background())
	return forwarders{ctx: ctx, cancel: cancel, open: make(map[io.Closer]bool)}
}

// hold has something be closed at the end, and reports whether that is still to
// come.
func (f *forwarders) hold(c io.Closer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		c.Close()
		return false
	}
	f.open[c] = true
	return true
}

func (f *forwarders) drop(c io.Closer) {
	c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, c)
}

func (f *forwarders) close() {
	f.mu.Lock()
	f.cancel()
	for c := range f.open {
		c.Close()
	}
	clear(f.open)
	f.mu.Unlock()
	f.going.Wait()
}

// dialTime bounds what comes to nothing: a node whose queue of connections is
// full does not answer.
const dialTime = time.Minute

// forward has what comes to an address lead to the same of a node.
func (f *forwarders) forward(h *Host, a netip.AddrPort) error {
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(a))
	if err != nil {
		return err
	}
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a))
	if err != nil {
		l.Close()
		return err
	}
	f.hold(l)
	f.hold(u)
	f.accept(l, func(c *net.TCPConn) {
		f.stream(c, func(ctx context.Context) (net.Conn, error) { return h.Dial(ctx, "tcp", a.String()) })
	})
	f.going.Go(func() {
		f.datagrams(u, func() (net.Conn, error) { return h.Dial(f.ctx, "udp", a.String()) })
	})
	return nil
}

// accept has connections passed on, in the background.
func (f *forwarders) accept(l *net.TCPListener, pass func(*net.TCPConn)) {
	f.going.Go(func() {
		for {
			c, err := l.AcceptTCP()
			switch {
			case err == nil:
				f.going.Go(func() { pass(c) })
			case errors.Is(err, net.ErrClosed):
				return
			default:
				time.Sleep(10 * time.Millisecond) // out of descriptors, for the moment
			}
		}
	})
}

// stream passes on what is said over a connection, to the one that dial makes. If
// there is none, it is reset.
func (f *forwarders) stream(client *net.TCPConn, dial func(context.Context) (net.Conn, error)) {
	if !f.hold(client) {
		return
	}
	ctx, cancel := context.WithTimeout(f.ctx, dialTime)
	conn, err := dial(ctx)
	cancel()
	if err != nil {
		client.SetLinger(0)
		f.drop(client)
		return
	}
	f.splice(client, conn.(*net.TCPConn))
}

// splice passes on what is said over one connection to the other, and ends both.
func (f *forwarders) splice(client, server *net.TCPConn) {
	defer f.drop(client)
	defer f.drop(server)
	if !f.hold(client) || !f.hold(server) {
		return
	}
	var both sync.WaitGroup
	pass := func(dst, src *net.TCPConn) {
		_, err := io.Copy(dst, src)
		if err == nil {
			err = dst.CloseWrite()
		}
		if err != nil { // neither end is to take it for an orderly one
			for _, c := range []*net.TCPConn{dst, src} {
				c.SetLinger(0)
				c.Close()
			}
		}
	}
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

const (
	idleTime    = time.Minute // until nobody remembers who has sent a datagram
	maxDatagram = 64 << 10
)

// datagrams passes on datagrams. Each sender has a socket of its own, which dial
// makes, so that it gets the answers.
func (f *forwarders) datagrams(u *net.UDPConn, dial func() (net.Conn, error)) {
	var mu sync.Mutex
	towards := make(map[netip.AddrPort]net.Conn)
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := u.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of what was sent before
		}
		mu.Lock()
		c := towards[from]
		mu.Unlock()
		if c == nil {
			if c, err = dial(); err != nil || !f.hold(c) {
				continue // lost, as datagrams are
			}
			mu.Lock()
			towards[from] = c
			mu.Unlock()
			f.going.Go(func() {
				defer f.drop(c)
				back := make([]byte, maxDatagram)
				for {
					c.SetReadDeadline(time.Now().Add(idleTime))
					n, err := c.Read(back)
					if err == nil {
						u.WriteToUDPAddrPort(back[:n], from)
						continue
					}
					mu.Lock()
					delete(towards, from)
					mu.Unlock()
					return
				}
			})
		}
		c.Write(buf[:n])
	}
}
