package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// Mode is how nodes are told apart by address.
type Mode string

const (
	PerNode Mode = "per-node" // an address each, inside 127.0.0.0/8
	Ports   Mode = "ports"    // 127.0.0.1, distinct ports
)

// Ports are picked below the ranges that Linux (32768 and up), macOS and
// Windows (49152 and up) take for outgoing connections, which would otherwise
// be given to some client in the moments when no node listens.
const (
	firstPort = 10000
	lastPort  = 32000
)

// ErrExhausted is returned when a range has no free address or port left.
var ErrExhausted = errors.New("no free address")

// ErrTooSmall is returned when a range has too few addresses or ports for what is
// asked for, whoever else has some.
var ErrTooSmall = errors.New("range in [network] is too small")

// An Allocator hands out the addresses of one test binary's nodes.
// It is safe for concurrent use.
type Allocator struct {
	mode   Mode
	prefix netip.Prefix // PerNode: where blocks are taken from
	ports  [2]int       // first and last

	mu     sync.Mutex
	blocks []*block
	next   int // port to try next
}

// A block is a /24 (or what the configured range leaves of it) that belongs to
// this process as long as claim is open.
type block struct {
	first netip.Addr
	size  int
	claim interface{ Close() error }
	used  map[netip.Addr]bool
	next  int // offset to try next: an address rests as long as possible before it is used again
}

// New returns an Allocator. addresses is "auto", "per-node" or "ports"; rang is
// empty, a CIDR inside 127.0.0.0/8, or ports as "20000-21000".
func New(addresses, rang string) (*Allocator, error) {
	a := &Allocator{mode: Ports, ports: [2]int{firstPort, lastPort}, prefix: netip.MustParsePrefix("127.0.0.0/8")}
	if addresses == string(PerNode) || addresses != string(Ports) && perNodeByDefault && !isPorts(rang) {
		a.mode = PerNode
	}
	switch {
	case rang == "":
	case isPorts(rang):
		if _, err := fmt.Sscanf(rang, "%d-%d", &a.ports[0], &a.ports[1]); err != nil || a.ports[0] < 1 || a.ports[1] > 65535 || a.ports[0] > a.ports[1] {
			return nil, fmt.Errorf("network.range = %q is not a range of ports like \"20000-21000\"", rang)
		}
	default:
		p, err := netip.ParsePrefix(rang)
		if err != nil || !a.prefix.Overlaps(p) || p.Bits() < 8 || p.Bits() > 30 {
			return nil, fmt.Errorf("network.range = %q is not a CIDR of at least four addresses inside 127.0.0.0/8", rang)
		}
		a.prefix = p.Masked()
	}
	a.next = a.ports[0] + rand.IntN(a.ports[1]-a.ports[0]+1)
	return a, nil
}

func isPorts(rang string) bool {
	return rang != "" && !strings.Contains(rang, "/")
}

// Mode reports how nodes are told apart.
func (a *Allocator) Mode() Mode { return a.mode }

// A Lease is the addresses of one cluster, held until Release.
type Lease struct {
	a     *Allocator
	hosts []netip.Addr
	ports []map[string]int
	holds []interface{ Close() error }
}

// Lease picks an address for each of n nodes and a port for each name: the same
// on every node where nodes have addresses of their own. The ports are held for
// the nodes: others who ask for them, or for any free port, do not get them.
func (a *Allocator) Lease(n int, names []string) (*Lease, error) {
	if err := a.fits(n, len(names)); err != nil {
		return nil, err
	}
	l := &Lease{a: a}
	for range n {
		host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if a.mode == PerNode && len(names) > 0 {
			var err error
			if host, err = a.host(); err != nil {
				l.Release()
				return nil, err
			}
		}
		l.hosts = append(l.hosts, host)
		l.ports = append(l.ports, make(map[string]int, len(names)))
	}
	for _, name := range names {
		var err error
		if a.mode == PerNode {
			err = l.hold(name, 0, n)
		} else {
			for i := 0; i < n && err == nil; i++ {
				err = l.hold(name, i, i+1)
			}
		}
		if err != nil {
			l.Release()
			return nil, err
		}
	}
	return l, nil
}

// fits tells whether the range has what n nodes with so many ports each need.
func (a *Allocator) fits(n, names int) error {
	if names == 0 {
		return nil
	}
	if ports := a.ports[1] - a.ports[0] + 1; a.mode != PerNode {
		if n*names > ports {
			return fmt.Errorf("%w: %d-%d are %d ports, and %d are needed", ErrTooSmall, a.ports[0], a.ports[1], ports, n*names)
		}
	} else if bits := a.prefix.Bits(); bits >= 24 && n > 1<<(32-bits)-2 {
		return fmt.Errorf("%w: %v has %d addresses for nodes, and %d are needed", ErrTooSmall, a.prefix, max(1<<(32-bits)-2, 0), n)
	}
	return nil
}

// hold finds a port that is free on the nodes from first to before end.
func (l *Lease) hold(name string, first, end int) error {
	hosts := l.hosts[first:end]
	tried := l.a.ports[1] - l.a.ports[0] + 1
	var last error
	for range tried {
		port := l.a.port()
		holds, err := holdAll(hosts, port)
		if err != nil {
			if !inUse(err) {
				return fmt.Errorf("hold %v: %w", netip.AddrPortFrom(hosts[0], uint16(port)), err)
			}
			last = err
			continue
		}
		l.holds = append(l.holds, holds...)
		for i := first; i < end; i++ {
			l.ports[i][name] = port
		}
		return nil
	}
	return fmt.Errorf("%w: all %d ports of %d-%d are taken on %v: %w", ErrExhausted, tried, l.a.ports[0], l.a.ports[1], hosts[0], last)
}

func holdAll(hosts []netip.Addr, port int) (holds []interface{ Close() error }, err error) {
	for _, host := range hosts {
		h, err := hold(netip.AddrPortFrom(host, uint16(port)))
		if err != nil {
			for _, h := range holds {
				h.Close()
			}
			return nil, err
		}
		holds = append(holds, h)
	}
	return holds, nil
}

func (a *Allocator) port() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.next
	if a.next++; a.next > a.ports[1] {
		a.next = a.ports[0]
	}
	return p
}

// Addr is the address of a node's named port, as host:port; "" if there is no
// such port.
func (l *Lease) Addr(node int, name string) string {
	port, ok := l.ports[node][name]
	if !ok {
		return ""
	}
	return l.hosts[node].String() + ":" + strconv.Itoa(port)
}

// Release gives the addresses back. The nodes must have ended.
func (l *Lease) Release() {
	for _, h := range l.holds {
		h.Close()
	}
	l.holds = nil
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	for _, host := range l.hosts {
		for _, b := range l.a.blocks {
			delete(b.used, host)
		}
	}
}

// Close gives back what the Allocator has claimed.
func (a *Allocator) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.blocks {
		b.claim.Close()
	}
	a.blocks = nil
}

// host takes an address from the blocks of this process, and claims a further
// block when they are used up.
func (a *Allocator) host() (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.blocks {
		if addr, ok := b.take(); ok {
			return addr, nil
		}
	}
	b, err := a.claim()
	if err != nil {
		return netip.Addr{}, err
	}
	a.blocks = append(a.blocks, b)
	addr, _ := b.take()
	return addr, nil
}

func (b *block) take() (netip.Addr, bool) {
	for range b.size {
		addr := add(b.first, b.next)
		if b.next++; b.next == b.size {
			b.next = 0
		}
		if !b.used[addr] {
			b.used[addr] = true
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// claim takes a /24 that no other process on this machine has, at random so
// that two that look at once rarely meet. 127.0.0.0/24 and 127.0.1.0/24 are
// other people's: localhost, and Debian's name for the machine.
func (a *Allocator) claim() (*block, error) {
	bits := max(a.prefix.Bits(), 24)
	count := 1 << (bits - a.prefix.Bits())
	start := rand.IntN(count)
	for i := range count {
		first := add(a.prefix.Addr(), (start+i)%count<<(32-bits))
		if b := first.As4(); b[1] == 0 && b[2] <= 1 {
			continue
		}
		c, err := claimBlock(netip.PrefixFrom(first, bits))
		if err != nil {
			if inUse(err) {
				continue
			}
			return nil, fmt.Errorf("claim %v/%d: %w", first, bits, err)
		}
		// Neither the network's first address nor its last.
		return &block{first: first.Next(), size: 1<<(32-bits) - 2, claim: c, used: make(map[netip.Addr]bool)}, nil
	}
	return nil, fmt.Errorf("%w: every block of %v is claimed by a running test", ErrExhausted, a.prefix)
}

func add(addr netip.Addr, n int) netip.Addr {
	b := addr.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += uint32(n)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
