package links

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/distkit/dist/runtime/network"
)

// Backend is the name by which [network] faults chooses this one.
const Backend = "links"

// A Network is the links between the nodes of one cluster. It implements
// network.Faults.
type Network struct {
	pids   func() []int // of the nodes by index; 0 where there is none
	finder *finder

	setting sync.Mutex // conditions change one after the other
	going   sync.WaitGroup

	mu         sync.Mutex
	conditions map[network.Pair]network.Condition
	listeners  []*net.TCPListener
	behind     map[netip.AddrPort]int // what nodes bind: the ends of the links
	links      map[*link]bool
	closed     bool
	done       chan struct{} // closed, too

	datagrams
}

// New returns a Network without links. pids are the processes of the nodes, by
// index, at the time it is called; each leads a process group, and what is in
// that is the node, too. The error is a *network.Unsupported where nobody can
// say which process a connection comes from; where this could not be found out
// for want of descriptors it is the system's.
func New(pids func() []int) (*Network, error) {
	f, err := newFinder()
	if err == nil {
		if err = f.try(); err != nil {
			f.close()
		}
	}
	if scarce(err) {
		return nil, err
	}
	if err != nil {
		return nil, &network.Unsupported{Fault: "a fault between nodes", Backend: Backend, Why: err.Error()}
	}
	return &Network{
		pids: pids, finder: f,
		conditions: make(map[network.Pair]network.Condition), links: make(map[*link]bool),
		behind: make(map[netip.AddrPort]int), done: make(chan struct{}),
		datagrams: newDatagrams(),
	}, nil
}

// Between returns a Network with a link to every port of every node: from addr
// to listen, which are addresses by node and port. What it cannot serve is given
// back.
func Between(pids func() []int, nodes int, ports []string, addr, listen func(node int, port string) string) (*Network, error) {
	n, err := New(pids)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		for _, port := range ports {
			if err := n.Serve(i, addr(i, port), listen(i, port)); err != nil {
				n.Close()
				return nil, err
			}
		}
	}
	return n, nil
}

// try has the finder find this process: that sockets can be asked for does not
// mean that it is allowed to see whose they are.
func (f *finder) try() error {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := canLook(); scarce(err) {
		return err
	}
	if f.find(tcp, addrPort(c.LocalAddr()), addrPort(c.RemoteAddr()), []int{os.Getpid()}) != 0 {
		return errNoSources
	}
	return nil
}

// scarce reports whether an error is about what there is not enough of now.
func scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// Backend implements network.Faults.
func (n *Network) Backend() string { return Backend }

// Serve has connections and datagrams to addr lead to node, which listens on
// another address.
func (n *Network) Serve(node int, addr, to string) error {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	end, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(a))
	if err != nil {
		return fmt.Errorf("link to node-%d: %w", node+1, err)
	}
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a))
	if err != nil {
		l.Close()
		return fmt.Errorf("link to node-%d, for datagrams: %w", node+1, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		l.Close()
		u.Close()
		return net.ErrClosed
	}
	n.listeners = append(n.listeners, l)
	n.behind[end] = node
	n.post(&mailbox{node: node, conn: u, addr: a, behind: end})
	n.going.Go(func() {
		var since time.Time // nothing could be accepted
		for {
			c, err := l.AcceptTCP()
			switch {
			case err == nil:
				since = time.Time{}
				n.going.Go(func() { n.connect(c, node, to) })
				continue
			case errors.Is(err, net.ErrClosed):
				return
			case since.IsZero():
				since = time.Now()
			case scarce(err) && time.Since(since) > scarcePatience:
				n.fail(fmt.Errorf("connections to node-%d had to wait: %w", node+1, err))
			}
			time.Sleep(scarcePause) // out of descriptors, for the moment
		}
	})
	return nil
}

// connect makes a link of a connection that has come in, and works on it until
// it has ended.
func (n *Network) connect(client *net.TCPConn, node int, to string) {
	l := newLink(client, node)
	l.from = n.source(l)
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		l.end(true)
		return
	}
	l.up.condition, l.down.condition = n.between(l.from, node)
	n.links[l] = true
	n.mu.Unlock()
	err := l.work(to)
	n.mu.Lock()
	delete(n.links, l)
	n.mu.Unlock()
	if err != nil {
		n.fail(fmt.Errorf("a connection to node-%d was reset: %w", node+1, err))
	}
}

// fail has the next Set tell what this process had too few descriptors for.
func (n *Network) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.failed = fmt.Errorf("%w: raise the limit of open files (ulimit -n) for the test", err)
	}
}

func (n *Network) source(l *link) int {
	return n.finder.find(tcp, addrPort(l.client.RemoteAddr()), addrPort(l.client.LocalAddr()), n.pids())
}

// lookAgain finds out about the links of processes that were foreign. What was
// a stranger's connection may be one of a node, whose process was not known yet.
func (n *Network) lookAgain() {
	var links []*link
	n.mu.Lock()
	for l := range n.links {
		if l.from == foreign {
			links = append(links, l)
		}
	}
	n.mu.Unlock()
	for _, l := range links {
		from := n.source(l)
		n.mu.Lock()
		l.from = from
		n.mu.Unlock()
	}
}

// between returns the conditions of both directions of a connection. What comes
// from nobody knows where is cut wherever one that comes from a node is.
func (n *Network) between(from, to int) (up, down network.Condition) {
	if from != unknown {
		return n.conditions[network.Pair{From: from, To: to}], n.conditions[network.Pair{From: to, To: from}]
	}
	for p, c := range n.conditions {
		up.Cut = up.Cut || c.Cut && p.To == to
		down.Cut = down.Cut || c.Cut && p.From == to
	}
	return up, down
}

// Set implements network.Faults.
func (n *Network) Set(conditions map[network.Pair]network.Condition) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	type change struct {
		*link
		up, down network.Condition
	}
	var changes []change
	for _, c := range conditions {
		if c.Loss > 0 && !n.receiving() {
			return &network.Unsupported{Fault: "packet loss", Backend: Backend, Why: "no node has a UDP socket at its ports (yet), and in a stream nothing can be lost: have what receives datagrams started first, or delay or cut the link instead"}
		}
	}
	n.lookAgain()
	n.lookAgainAtFlows()
	n.drain()
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return net.ErrClosed
	}
	before := n.conditions
	n.conditions = maps.Clone(conditions)
	for l := range n.links {
		up, down := n.between(l.from, l.to)
		changes = append(changes, change{l, up, down})
	}
	for _, f := range n.flows {
		n.apply(f)
	}
	failed := n.failed
	n.failed = nil
	n.mu.Unlock()
	for _, c := range changes { // all of them at once,
		c.set(c.up, c.down)
	}
	for _, c := range changes { // and then see that they have
		c.settle()
	}
	return errors.Join(failed, n.bypass(before))
}

// bypass reports a connection between two nodes that are cut off from each
// other, or were before, which goes past the links: it was made to what the
// other node binds.
func (n *Network) bypass(before map[network.Pair]network.Condition) error {
	n.mu.Lock()
	cut := make(map[network.Pair]bool)
	for _, conditions := range []map[network.Pair]network.Condition{before, n.conditions} {
		for p, c := range conditions {
			if c.Cut {
				cut[p] = true
			}
		}
	}
	ours := make(map[netip.AddrPort]bool)
	for l := range n.links {
		if from, ok := l.behind(); ok {
			ours[from] = true
		}
	}
	ports := make(map[uint16]bool)
	for end := range n.behind {
		ports[end.Port()] = true
	}
	for _, f := range n.flows {
		if f.conn != nil {
			ours[f.conn.LocalAddr().(*net.UDPAddr).AddrPort()] = true
		}
	}
	n.mu.Unlock()
	if len(cut) == 0 {
		return nil
	}
	for port := range ports {
		all, err := n.finder.diallers(tcp, port)
		if err != nil {
			return fmt.Errorf("see whether anything goes past the links: %w", err)
		}
		// Not every kernel tells of these, and of none that does not send to one
		// address only.
		connected, _ := n.finder.diallers(udp, port)
		for _, d := range append(all, connected...) {
			to, known := n.behind[d.to]
			if !known || ours[d.from] || d.inode == 0 {
				continue
			}
			from := dialler(d.inode, n.pids())
			if cut[network.Pair{From: from, To: to}] || cut[network.Pair{From: to, To: from}] {
				return fmt.Errorf("node-%d has a connection to node-%d that goes past the links: it has dialled %v, which is what node-%d binds (ListenAddr), instead of its Addr", from+1, to+1, d.to, to+1)
			}
		}
	}
	return nil
}

// Reset implements network.Faults.
func (n *Network) Reset(pairs []network.Pair) (int, error) {
	n.setting.Lock()
	defer n.setting.Unlock()
	n.lookAgain()
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return 0, net.ErrClosed
	}
	var links []*link
	for l := range n.links {
		for _, p := range pairs {
			if p == (network.Pair{From: l.from, To: l.to}) || p == (network.Pair{From: l.to, To: l.from}) {
				links = append(links, l)
				break
			}
		}
	}
	n.mu.Unlock()
	count := 0
	for _, l := range links {
		if l.end(true) {
			count++
		}
	}
	return count, nil
}

// Close implements network.Faults.
func (n *Network) Close() error {
	n.mu.Lock()
	if !n.closed {
		close(n.done)
	}
	n.closed = true
	for _, l := range n.listeners {
		l.Close()
	}
	n.closeDatagrams()
	links := maps.Clone(n.links)
	n.mu.Unlock()
	for l := range links {
		l.end(true)
	}
	n.going.Wait()
	n.finder.close()
	return nil
}
