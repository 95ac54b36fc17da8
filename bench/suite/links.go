//go:build unix

package suite

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distkit/dist"
)

func init() {
	dist.Register(serve)
	dist.Register(talk)
	dist.Register(talks)
}

const (
	datagrams = 'd' // the server sends back what it gets, by datagrams
	echoes    = 'e' // the server sends back what it gets
	streams   = 's' // the server sends without end
)

// serve answers connections to a node, and returns the address that it binds.
func serve(ctx context.Context, _ struct{}) (string, error) {
	self := dist.Self(ctx)
	l, err := self.Listen("bench")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			self.Cleanup(func() { c.Close() })
			go answer(c)
		}
	}()
	p, err := self.ListenPacket("bench")
	if err != nil {
		return "", err
	}
	go func() {
		for buf := make([]byte, 64<<10); ; {
			n, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			p.WriteTo(buf[:n], from)
		}
	}()
	return self.ListenAddr("bench"), nil
}

func answer(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 64<<10)
	n, err := c.Read(buf[:1])
	for err == nil && n > 0 {
		if buf[0] != streams {
			if n, err = c.Read(buf[1:]); err != nil {
				return
			}
			_, err = c.Write(buf[1 : 1+n])
		} else {
			_, err = c.Write(buf)
		}
	}
}

// A talking is what one node asks of another.
type talking struct {
	Addr  string
	Kind  byte
	Size  int // bytes an operation
	Count int
}

// talk times operations over a connection of its own.
func talk(ctx context.Context, t talking) ([]float64, error) {
	proto := "tcp"
	if t.Kind == datagrams {
		proto = "udp"
	}
	c, err := (&net.Dialer{}).DialContext(ctx, proto, t.Addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute)) // a datagram may be lost
	if t.Kind != datagrams {
		if _, err := c.Write([]byte{t.Kind}); err != nil {
			return nil, err
		}
	}
	times := make([]float64, t.Count)
	buf := make([]byte, t.Size)
	for i := range times {
		start := time.Now()
		if t.Kind != streams {
			if _, err := c.Write(buf); err != nil {
				return nil, err
			}
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			return nil, err
		}
		times[i] = since(start)
		select {
		case talked <- struct{}{}:
		default:
		}
	}
	return times, nil
}

// talked has something in it when an operation of talk is done.
var talked = make(chan struct{}, 1)

// talks returns when an operation of talk is done.
func talks(ctx context.Context, _ struct{}) (struct{}, error) {
	select {
	case <-talked:
		return struct{}{}, nil
	case <-ctx.Done():
		return struct{}{}, ctx.Err()
	}
}

// bareProxy has connections lead to another address, by io.Copy and nothing
// else. It returns where.
func bareProxy(t *testing.T, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			go func() {
				io.Copy(s, c)
				s.Close()
			}()
			go func() {
				io.Copy(c, s)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// bareDatagrams has the datagrams of one client lead to another address, and the
// answers back. It returns where.
func bareDatagrams(t *testing.T, to string) string {
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	out, err := net.Dial("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	var client atomic.Pointer[netip.AddrPort]
	go func() {
		for buf := make([]byte, 64<<10); ; {
			n, from, err := in.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if c := client.Load(); c == nil || *c != from {
				client.Store(&from)
			}
			out.Write(buf[:n])
		}
	}()
	go func() {
		for buf := make([]byte, 64<<10); ; {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			in.WriteToUDPAddrPort(buf[:n], *client.Load())
		}
	}()
	return in.LocalAddr().String()
}

// proxied measures what two nodes say to each other by way of a link, against a
// proxy that does nothing.
func proxied(t *testing.T) {
	c := dist.Require(t)
	listens, err := dist.Call(t.Context(), c.Node(0), serve, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	addrs := [2]string{c.Node(0).Addr("bench"), bareProxy(t, listens)}
	kind := byte(echoes)
	switch job.Kind {
	case Stream:
		kind = streams
	case Datagram:
		kind = datagrams
		addrs[1] = bareDatagrams(t, listens)
	}
	var all [2][]float64
	for block := range blocks + 1 { // the first warms up
		for i := range 2 {
			which := (i + block) % 2
			times, err := dist.Call(t.Context(), c.Node(1), talk, talking{addrs[which], kind, job.Size, job.Calls})
			if err != nil {
				t.Fatal(err)
			}
			if block > 0 {
				all[which] = append(all[which], times...)
			}
		}
	}
	emit(Sample{Ours: quantile(all[0], 0.5), P95: quantile(all[0], 0.95), Floor: quantile(all[1], 0.5)})
}

// spoken measures what two nodes say to each other by whatever is between them.
func spoken(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), serve, struct{}{}); err != nil {
		t.Fatal(err)
	}
	kind := byte(echoes)
	if job.Kind == Flow {
		kind = streams
	}
	var all []float64
	for block := range blocks + 1 { // the first warms up
		times, err := dist.Call(t.Context(), c.Node(1), talk, talking{c.Node(0).Addr("bench"), kind, job.Size, job.Calls})
		if err != nil {
			t.Fatal(err)
		}
		if block > 0 {
			all = append(all, times...)
		}
	}
	emit(Sample{Ours: quantile(all, 0.5), P95: quantile(all, 0.95)})
}

// faults measures how long it takes until a network is parted, or whole again,
// while one node streams to the other.
func faults(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), serve, struct{}{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := dist.Call(ctx, c.Node(1), talk, talking{c.Node(0).Addr("bench"), streams, 1 << 20, 1 << 20})
		done <- err
	}()
	var cut, heal, floor []float64
	for range 30 {
		if _, err := dist.Call(t.Context(), c.Node(1), talks, struct{}{}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Isolate(c.Node(0)); err != nil {
			t.Fatal(err)
		}
		cut = append(cut, since(start))
		start = time.Now()
		if err := c.Heal(); err != nil {
			t.Fatal(err)
		}
		heal = append(heal, since(start))
		start = time.Now()
		if _, err := dist.Call(t.Context(), c.Node(0), echo, nil); err != nil {
			t.Fatal(err)
		}
		floor = append(floor, since(start))
	}
	select {
	case err := <-done:
		t.Fatal(fmt.Errorf("the stream has ended before the faults: %w", err))
	default:
	}
	cancel()
	if job.Kind == Heal {
		cut = heal
	}
	emit(Sample{Ours: quantile(cut, 0.5), P95: quantile(cut, 0.95), Floor: quantile(floor, 0.5)})
}
