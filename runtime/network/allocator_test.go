package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

func TestRanges(t *testing.T) {
	for _, test := range []struct {
		addresses, rang string
		mode            Mode
		err             string
	}{
		{"ports", "", Ports, ""},
		{"per-node", "127.9.0.0/16", PerNode, ""},
		{"auto", "20000-20010", Ports, ""},
		{"per-node", "20000-20010", PerNode, ""},
		{"ports", "20010-20000", "", "not a range of ports"},
		{"ports", "0-20000", "", "not a range of ports"},
		{"per-node", "10.0.0.0/8", "", "inside 127.0.0.0/8"},
		{"per-node", "127.0.0.0/31", "", "at least four"},
		{"per-node", "127.0/16", "", "not a CIDR"},
	} {
		a, err := New(test.addresses, test.rang)
		if err != nil {
			if test.err == "" || !strings.Contains(err.Error(), test.err) {
				t.Errorf("New(%q, %q): %v, want %q", test.addresses, test.rang, err, test.err)
			}
			continue
		}
		if test.err != "" || a.Mode() != test.mode {
			t.Errorf("New(%q, %q): mode %v, want %v and error %q", test.addresses, test.rang, a.Mode(), test.mode, test.err)
		}
	}
}

func modes(t *testing.T, f func(t *testing.T, mode Mode)) {
	t.Run("ports", func(t *testing.T) { f(t, Ports) })
	if perNodeByDefault {
		t.Run("per-node", func(t *testing.T) { f(t, PerNode) })
	}
}

func open(t *testing.T, mode Mode, rang string) *Allocator {
	t.Helper()
	a, err := New(string(mode), rang)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func TestNodesListenWhereTheyAreTold(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode) {
		a := open(t, mode, "")
		l, err := a.Lease(3, []string{"raft", "http"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		seen := make(map[string]bool)
		ports := make(map[string]bool)
		for i := range 3 {
			for _, name := range []string{"raft", "http"} {
				addr := l.Addr(i, name)
				if seen[addr] {
					t.Errorf("%s given twice", addr)
				}
				seen[addr] = true
				ports[addr[strings.IndexByte(addr, ':'):]] = true
				// Twice: a restarted node gets the same address.
				for range 2 {
					ln, err := net.Listen("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					c, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					c.Close()
					ln.Close()
				}
				if c, err := net.Dial("tcp", addr); err == nil {
					c.Close()
					t.Errorf("%s answers though nobody listens", addr)
				}
			}
		}
		if mode == PerNode && len(ports) != 2 {
			t.Errorf("nodes with addresses of their own use %d ports for two names", len(ports))
		}
		if l.Addr(0, "grpc") != "" {
			t.Error("an address for a port nobody asked for")
		}
	})
}

// Many allocators at once, as in go test ./...: no address is given out twice.
func TestNoTwoClustersShareAnAddress(t *testing.T) {
	if !perNodeByDefault {
		t.Skip("ports cannot be held on this system")
	}
	modes(t, func(t *testing.T, mode Mode) {
		rang := "20000-29999" // wide: this test may run several times at once
		if mode == PerNode {
			rang = "127.77.0.0/16"
		}
		var mu sync.Mutex
		seen := make(map[string]bool)
		var wg sync.WaitGroup
		for range 10 {
			a := open(t, mode, rang)
			wg.Go(func() {
				for range 5 {
					l, err := a.Lease(4, []string{"a", "b"})
					if err != nil {
						t.Error(err)
						return
					}
					t.Cleanup(l.Release)
					mu.Lock()
					for i := range 4 {
						for _, name := range []string{"a", "b"} {
							if addr := l.Addr(i, name); seen[addr] {
								t.Errorf("%s given twice", addr)
							} else {
								seen[addr] = true
							}
						}
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	})
}

func TestStrangersPortIsAvoided(t *testing.T) {
	stranger, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, port, _ := net.SplitHostPort(stranger.Addr().String())
	modes(t, func(t *testing.T, mode Mode) {
		a, err := New(string(mode), port+"-"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if l, err := a.Lease(1, []string{"x"}); !errors.Is(err, ErrExhausted) {
			t.Errorf("got %v, %v; want ErrExhausted", l, err)
		}
	})
}

func TestBlockIsUsedInTurn(t *testing.T) {
	b := &block{first: netip.MustParseAddr("127.3.0.1"), size: 3, used: make(map[netip.Addr]bool)}
	one, _ := b.take()
	delete(b.used, one)
	if two, _ := b.take(); two == one {
		t.Error("an address just given back is used again at once")
	}
	b.take()
	b.take()
	if addr, ok := b.take(); ok {
		t.Errorf("a fourth address %v of three", addr)
	}
}

// TestTooSmall: what a range can never have is not said to be taken.
func TestTooSmall(t *testing.T) {
	for _, test := range []struct {
		addresses, rang string
		nodes, ports    int
		want            string
	}{
		{"ports", "20000-20001", 3, 1, "range in [network] is too small: 20000-20001 are 2 ports, and 3 are needed"},
		{"ports", "20000-20002", 2, 2, "range in [network] is too small: 20000-20002 are 3 ports, and 4 are needed"},
		{"per-node", "127.1.1.0/30", 3, 1, "range in [network] is too small: 127.1.1.0/30 has 2 addresses for nodes, and 3 are needed"},
		{"per-node", "127.1.1.0/30", 3, 0, ""},
	} {
		if test.addresses == "per-node" && !perNodeByDefault {
			continue
		}
		a, err := New(test.addresses, test.rang)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		l, err := a.Lease(test.nodes, []string{"a", "b"}[:test.ports])
		if err == nil {
			l.Release()
		}
		if got := fmt.Sprint(err); test.want != "" && (got != test.want || !errors.Is(err, ErrTooSmall)) || test.want == "" && err != nil {
			t.Errorf("%d nodes with %d ports of %s: %v, want %q", test.nodes, test.ports, test.rang, err, test.want)
		}
	}
}
