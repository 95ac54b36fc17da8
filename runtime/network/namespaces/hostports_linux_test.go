package namespaces

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/network"
)

// A service is a port of this machine's 127.0.0.1 that is the test's, whether
// somebody listens there or not.
type service struct {
	port  int
	file  *os.File
	taken atomic.Int32 // connections
}

func (s *service) fd() int { return int(s.file.Fd()) }

func (s *service) at() string { return fmt.Sprint("127.0.0.1:", s.port) }

// reserve takes a port, and leaves it to be refused.
func reserve(t *testing.T) *service {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "service")
	t.Cleanup(func() { file.Close() })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: localhost.As4()}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return &service{port: sa.(*unix.SockaddrInet4).Port, file: file}
}

// listen has the service be there: it says who it is talking to, and then the
// same as it is told.
func (s *service) listen(t *testing.T) {
	t.Helper()
	if err := unix.Listen(s.fd(), 1000); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(s.file)
	if err != nil {
		t.Fatal(err)
	}
	var going sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		going.Wait()
	})
	going.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.taken.Add(1)
			going.Go(func() {
				defer c.Close()
				fmt.Fprintln(c, c.RemoteAddr().(*net.TCPAddr).IP)
				io.Copy(c, c)
			})
		}
	})
}

// openHost makes networks for two nodes that reach ports of this machine.
func openHost(t *testing.T, ports ...int) *Network {
	t.Helper()
	open(t, 1) // or it is impossible
	n, err := Between(2, []string{"a"}, addresses(), ports...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func TestHostPorts(t *testing.T) {
	a, b, other := reserve(t), reserve(t), reserve(t)
	a.listen(t)
	b.listen(t)
	other.listen(t)
	n := openHost(t, a.port, b.port)
	if err := n.Set(cutOff(network.Pair{From: 0, To: 1}, network.Pair{From: 1, To: 0})); err != nil {
		t.Fatal(err) // which has nothing to do with it
	}
	var all sync.WaitGroup
	for i := range 2 {
		for _, s := range []*service{a, b} {
			for range 10 {
				all.Go(func() {
					c, err := n.Host(i).Dial(t.Context(), "tcp", s.at())
					if err != nil {
						t.Errorf("node-%d: %v", i+1, err)
						return
					}
					defer c.Close()
					// All that is said arrives, in both directions, and so does its end.
					said := bytes.Repeat([]byte(fmt.Sprintln(i, s.port)), 30_000)
					all.Go(func() {
						c.Write(said)
						c.(*net.TCPConn).CloseWrite()
					})
					c.SetReadDeadline(time.Now().Add(time.Minute))
					got, err := io.ReadAll(c)
					if want := append([]byte("127.0.0.1\n"), said...); err != nil || !bytes.Equal(got, want) {
						t.Errorf("node-%d got %d bytes of port %d, which was told %d: %v", i+1, len(got), s.port, len(said), err)
					}
				})
			}
		}
	}
	all.Wait()
	for _, s := range []*service{a, b} {
		if got := s.taken.Load(); got != 20 {
			t.Errorf("the service saw %d connections, and not 20", got)
		}
	}
	if _, err := n.Host(0).Dial(t.Context(), "tcp", other.at()); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("a port that was not asked for: %v", err)
	}
	if _, err := n.Host(0).bindTo(netip.IPv4Unspecified(), a.port); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a node binds the port: %v", err)
	}
	f, err := n.Host(0).bindTo(n.Host(0).addr, a.port)
	if err != nil {
		t.Fatalf("a node binds the port at its own address: %v", err)
	}
	f.Close()
}

// bindTo binds a port, as a process in the node's network would.
func (h *Host) bindTo(at netip.Addr, port int) (*os.File, error) {
	_, got, err := h.n.ask(request{Op: opSocket, Node: h.node, Type: unix.SOCK_STREAM})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(got[0]), "socket")
	if err := unix.Bind(got[0], &unix.SockaddrInet4{Addr: at.As4(), Port: port}); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Where nobody listens a node is told what it would be told on this machine,
// until somebody does.
func TestHostPortIsRefused(t *testing.T) {
	for _, held := range []bool{true, false} {
		t.Run(fmt.Sprint("held=", held), func(t *testing.T) {
			withoutPackets = !held
			defer func() { withoutPackets = false }()
			s := reserve(t)
			n := openHost(t, s.port, 1) // which is nobody's, and privileged
			refused := func(at string) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				c, err := n.Host(0).Dial(ctx, "tcp", at)
				if held {
					if !errors.Is(err, unix.ECONNREFUSED) {
						t.Errorf("%s, where nobody listens: %v", at, err)
					}
					return
				}
				if err == nil {
					defer c.Close()
					c.SetReadDeadline(time.Now().Add(30 * time.Second))
					_, err = c.Read(make([]byte, 1))
				}
				if !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("%s, where nobody listens: %v", at, err)
				}
			}
			for range 3 {
				refused(s.at())
				refused("127.0.0.1:1")
			}
			s.listen(t)
			if l := dial(t, n.Host(0), s.at()); l.from != "127.0.0.1" {
				t.Errorf("the service is dialled by %s", l.from)
			}
			for range 2 {
				f, err := n.Host(0).bindTo(netip.IPv4Unspecified(), 0)
				if err != nil {
					t.Fatal(err)
				}
				unix.SetNonblock(int(f.Fd()), false)
				if err := unix.Connect(int(f.Fd()), &unix.SockaddrInet4{Addr: localhost.As4(), Port: s.port}); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			unix.Shutdown(s.fd(), unix.SHUT_RD) // it listens no more
			refused(s.at())
		})
	}
}

func TestHostPortOfDatagrams(t *testing.T) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(localhost, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	go func() {
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			u.WriteTo(append([]byte("you say "), buf[:n]...), from)
		}
	}()
	nobody := reserve(t)
	n := openHost(t, u.LocalAddr().(*net.UDPAddr).Port, nobody.port)
	for i := range 2 {
		for j := range 2 {
			c, err := n.Host(i).Dial(t.Context(), "udp", u.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			said := fmt.Sprint("node-", i+1, " socket ", j+1)
			fmt.Fprint(c, said)
			c.SetReadDeadline(time.Now().Add(30 * time.Second))
			buf := make([]byte, 100)
			if n, err := c.Read(buf); err != nil || string(buf[:n]) != "you say "+said {
				t.Errorf("%s: %q, %v", said, buf[:n], err)
			}
		}
	}
	c, err := n.Host(0).Dial(t.Context(), "udp", nobody.at())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 { // an error would be the second one's
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		c.SetReadDeadline(time.Now().Add(silence))
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a datagram to nobody: %v", err)
		}
	}
}

// A service that takes connections no more says nothing to those who dial.
func TestHostPortHangs(t *testing.T) {
	s := reserve(t)
	if err := unix.Listen(s.fd(), 0); err != nil {
		t.Fatal(err)
	}
	for { // its queue is full
		c, err := net.DialTimeout("tcp", s.at(), silence)
		if err != nil {
			break
		}
		defer c.Close()
	}
	n := openHost(t, s.port)
	ctx, cancel := context.WithTimeout(t.Context(), silence)
	defer cancel()
	if c, err := n.Host(0).Dial(ctx, "tcp", s.at()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a service with a full queue: %v, %v", c, err)
	}
	if err := n.Close(); err != nil { // and waits for nothing
		t.Fatal(err)
	}
}

func TestNoSuchHostPort(t *testing.T) {
	open(t, 1) // or it is impossible
	_, err := Between(1, []string{"a"}, func(int, string) string { return "127.98.2.1:9000" }, 70000)
	if want := "have node-1 reach port 70000 of this machine's 127.0.0.1 ([network] host_ports): there is no port 70000"; err == nil || err.Error() != want {
		t.Errorf("%v, and not %s", err, want)
	}
}
