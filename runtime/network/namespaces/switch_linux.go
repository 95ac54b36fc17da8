package namespaces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/forkexec"
)

const (
	envSwitch = "DIST_SWITCH" // makes a switch, with its descriptors
	protocol  = "1"

	fdRequests = 3 // where requests come from
	fdLifeline = 4 // the read end of a pipe that is closed when the test process ends

	exitLost = 97 // of a process that was started as a switch and cannot be one
)

// This runs before the code of any package that knows of us. What the process
// is, is told by the variable and by what descriptor 3 is: a socket that its
// parent has made.
func init() {
	v, ok := os.LookupEnv(envSwitch)
	if !ok {
		return
	}
	os.Unsetenv(envSwitch)
	version, key, _ := strings.Cut(v, " ")
	if own, err := binaryKey(); err != nil || version != protocol || key != own {
		return // meant for another program
	}
	cred, err := unix.GetsockoptUcred(fdRequests, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || int(cred.Pid) != os.Getppid() {
		fmt.Fprintln(os.Stderr, "dist: this process was started as the switch of a cluster's networks, but its parent is not at the other end: it stops here instead of running the tests")
		os.Exit(exitLost)
	}
	(&networkSwitch{}).serve()
	os.Exit(0)
}

// binaryKey tells this binary from others.
func binaryKey() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &st); err != nil {
		return "", os.NewSyscallError("stat", err)
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}

// A networkSwitch is the networks of a cluster, from within. All is done by the
// main thread, to which an init is bound: which network it is in is a matter of
// the thread.
type networkSwitch struct {
	home    int // its own namespace
	hub     *netlinkSocket
	bridged bool // nodes' devices are on a bridge
	nodes   []*place
	seq     uint32            // of probes
	held    map[string]uint64 // what was acknowledged of connections that wait for more
}

// A place is a node's network.
type place struct {
	addr   netip.Addr
	ns     int // the namespace
	routes *netlinkSocket
	diag   *netlinkSocket
	probe  int    // a UDP socket
	port   uint16 // of it
	got    map[uint32]bool

	shaping bool           // there is a device for that
	shaped  map[int]bool   // for whom what is sent is
	awaited map[uint32]int // probes that come after what is under way, and who sends them
}

// serve does what it is asked until nobody asks any more.
func (s *networkSwitch) serve() {
	unix.CloseRange(fdRequests, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	unix.CloseOnExec(fdRequests)
	unix.CloseOnExec(fdLifeline)
	holdLifeline()
	dropAmbient()
	runtime.LockOSThread() // threads that the runtime starts are not to be in a node's network
	for {
		var r request
		fds, err := receive(fdRequests, &r)
		if err != nil && err != errLost {
			return
		}
		var a reply
		made := -1
		if err == nil {
			made, err = s.answer(&r, fds, &a)
		}
		if err != nil {
			a.fail(err)
		}
		closeAll(fds)
		if made < 0 {
			err = send(fdRequests, &a)
		} else {
			err = send(fdRequests, &a, made)
			unix.Close(made)
		}
		if err != nil {
			return
		}
	}
}

// holdLifeline has the kernel kill this process when the test process ends, even
// while it is stopped.
func holdLifeline() {
	_, err := unix.FcntlInt(fdLifeline, unix.F_SETOWN, os.Getpid())
	if err == nil {
		_, err = unix.FcntlInt(fdLifeline, unix.F_SETSIG, int(unix.SIGKILL))
	}
	if err == nil {
		unix.FcntlInt(fdLifeline, unix.F_SETFL, unix.O_ASYNC|unix.O_NONBLOCK)
	}
}

// dropAmbient has what is started from here have no more rights than it would
// have outside. This process keeps its own.
func dropAmbient() {
	unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if os.Geteuid() == 0 {
		return
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&h, &data[0]) == nil {
		data[0].Inheritable, data[1].Inheritable = 0, 0
		unix.Capset(&h, &data[0])
	}
}

// answer does what is asked. made is a descriptor to send; -1 if there is none.
func (s *networkSwitch) answer(r *request, fds []int, a *reply) (made int, err error) {
	if r.Op != opSetUp && (r.Node < 0 || r.Node >= len(s.nodes)) {
		return -1, fmt.Errorf("there is no node %d", r.Node)
	}
	for _, w := range r.Shapes {
		r.Changes = append(r.Changes, change{From: w.From, To: w.To})
	}
	for _, c := range r.Changes {
		if min(c.From, c.To) < 0 || max(c.From, c.To) >= len(s.nodes) {
			return -1, fmt.Errorf("there is no direction from %d to %d", c.From, c.To)
		}
	}
	switch r.Op {
	case opSetUp:
		return -1, s.setUp(r.Addrs, r.Bridged)
	case opStart:
		a.PID, err = s.start(r, fds)
		return -1, err
	case opSocket:
		return s.socket(r.Node, r.Type)
	case opBound:
		return s.bound(r)
	case opCut:
		return -1, s.cut(r.Changes)
	case opHeld:
		a.Count, err = s.hold(r.Changes)
		return -1, err
	case opWaiting:
		a.Count, err = s.waiting()
		return -1, err
	case opReset:
		a.Count, err = s.reset(r.Changes, r.Ports)
		return -1, err
	case opTryNetem:
		return -1, s.hub.trySetNetem(loopback)
	case opShape:
		return -1, s.shape(r.Shapes)
	case opUnder:
		a.Count = s.under(r.Changes)
		return -1, nil
	case opUnshape:
		return -1, s.unshape(r.Changes)
	}
	return -1, fmt.Errorf("a switch does not know %q", r.Op)
}

// Indexes of devices: those that the kernel makes by itself come before. That of
// a node is none of the others, since a kernel before Linux 6.14 makes the device
// where they are, and moves it.
const (
	shapedIndex = 996 // in each node's network,
	nodeIndex   = 997 // as well
	trunkIndex  = 998
	endIndex    = 999
	bridgeIndex = 1000
	portIndex   = 1001 // of the first node
	loopback    = 1

	shapedPortIndex = 1 << 20 // of the first node
)

// mtu is what the loopback interface has, or nearly.
const mtu = 65535

// Rules of a node's routing, by priority. The kernel's own first rule, for
// addresses that are local, would be asked before any cut, and is moved.
const (
	cutPriority   = 1
	peersPriority = 5
	localPriority = 10

	peersTable = 100
)

// setUp makes a network for each node, and one between them.
func (s *networkSwitch) setUp(addrs []netip.Addr, bridged bool) error {
	var err error
	if s.hub, err = newNetlink(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	if s.home, err = namespaceOf(s.hub.fd); err != nil {
		return err
	}
	s.bridged = bridged
	if err := s.wire(); err != nil {
		return err
	}
	networks := make(map[netip.Prefix]bool)
	for _, a := range addrs {
		p, err := a.Prefix(24)
		if err != nil {
			return err
		}
		networks[p] = true
	}
	for i, a := range addrs {
		p, err := s.place(a, networks, func(ns int) error { return s.connect(eth0, i, a, ns) })
		if err != nil {
			return fmt.Errorf("the network of node-%d: %w", i+1, err)
		}
		s.nodes = append(s.nodes, p)
	}
	// Nobody has to be asked for who has an address: the question would be cut
	// off, too, and whoever asks be told that there is no such host.
	for _, n := range s.nodes {
		for _, peer := range s.nodes {
			if n == peer {
				continue
			}
			if err := n.routes.addNeighbour(nodeIndex, peer.addr, eth0.mac(peer.addr)); err != nil {
				return err
			}
		}
	}
	var ring []change
	for i := range s.nodes {
		if next := (i + 1) % len(s.nodes); next != i {
			ring = append(ring, change{From: i, To: next})
		}
	}
	return s.prove(ring)
}

// wire makes what the nodes' devices are on. What goes from one macvlan to another
// passes through one queue, as on the loopback interface, and over a bridge through
// two: that is for kernels without macvlan.
func (s *networkSwitch) wire() error {
	if err := s.hub.addBridge(bridgeIndex, "nodes"); err != nil {
		return err
	}
	// A macvlan needs a device below it that is up, and that takes a peer.
	end := netip.IPv4Unspecified()
	if err := s.hub.addVeth(trunkIndex, "trunk", bridgeIndex, endIndex, "end", eth0.mac(end), s.home, mtu); err != nil {
		return err
	}
	return s.hub.up(endIndex, nil)
}

// A device is one of those that a node has.
type device struct {
	index uint32
	name  string
	port  uint32 // the index of the first node's end at a bridge
	kind  byte   // of its address of Ethernet
}

var (
	eth0 = device{nodeIndex, "eth0", portIndex, 0}
	eth1 = device{shapedIndex, "eth1", shapedPortIndex, 1} // where what is shaped leaves a node
)

// connect makes a device of a node, in a namespace.
func (s *networkSwitch) connect(d device, node int, a netip.Addr, ns int) error {
	if !s.bridged {
		err := s.hub.addMacvlan(d.index, d.name, endIndex, d.mac(a), ns, mtu)
		if !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		s.bridged = true
	}
	return s.hub.addVeth(d.port+uint32(node), fmt.Sprintf("%s.%d", d.name, node+1), bridgeIndex, d.index, d.name, d.mac(a), ns, mtu)
}

// mac is the address of Ethernet of a node's device.
func (d device) mac(a netip.Addr) []byte {
	const local = 2 // of nobody's make
	return append([]byte{local, d.kind}, ip(a)...)
}

// namespaceOf is the network namespace of a socket.
func namespaceOf(fd int) (int, error) {
	ns, err := unix.IoctlRetInt(fd, unix.SIOCGSKNS)
	if err != nil {
		return -1, os.NewSyscallError("ioctl SIOCGSKNS", err)
	}
	return ns, nil
}

// within does something in a node's network.
func (s *networkSwitch) within(ns int, act func() error) error {
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("setns", err)
	}
	err := act()
	if back := unix.Setns(s.home, unix.CLONE_NEWNET); back != nil {
		panic(back) // this thread is of no use any more
	}
	return err
}

// deviceSettings have addresses that begin with 127 be as others are.
var deviceSettings = map[uint16]uint32{devconfRouteLocalnet: 1, devconfRPFilter: 0}

// place makes a node's network. connect has it connected.
func (s *networkSwitch) place(addr netip.Addr, networks map[netip.Prefix]bool, connect func(ns int) error) (*place, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, os.NewSyscallError("unshare", err)
	}
	p := &place{
		addr: addr, got: make(map[uint32]bool),
		shaped: make(map[int]bool), awaited: make(map[uint32]int),
	}
	var err error
	if p.routes, err = newNetlink(unix.NETLINK_ROUTE); err == nil {
		if p.diag, err = newNetlink(unix.NETLINK_SOCK_DIAG); err == nil {
			p.ns, err = namespaceOf(p.routes.fd)
		}
	}
	if err == nil {
		quicken()
	}
	if back := unix.Setns(s.home, unix.CLONE_NEWNET); back != nil && err == nil {
		err = os.NewSyscallError("setns", back)
	}
	if err != nil {
		return nil, err
	}
	if err := connect(p.ns); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return p.routes.up(loopback, nil) },
		func() error {
			return p.routes.up(nodeIndex, deviceSettings)
		},
		func() error { return p.routes.addAddr(nodeIndex, addr) },
		func() error { return p.routes.addRule(rule{priority: localPriority, table: unix.RT_TABLE_LOCAL}) },
		func() error { return p.routes.deleteRule(rule{priority: 0, table: unix.RT_TABLE_LOCAL}) },
		func() error {
			return p.routes.addRoute(peersTable, netip.PrefixFrom(addr, 32), unix.RTN_LOCAL, loopback, addr)
		},
		func() error {
			for n := range networks {
				if err := p.routes.addRoute(peersTable, n, unix.RTN_UNICAST, nodeIndex, addr); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { return p.routes.addRule(rule{priority: peersPriority, table: peersTable}) },
		func() error { return s.within(p.ns, p.openProbe) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// quicken has TCP send again what was lost at least once a second: otherwise a
// connection would stay quiet after a cut for as long as that has lasted. It is
// not to be had everywhere (Linux 6.15), nor where /proc/sys cannot be written.
// Tries are counted, so that there have to be more of them: for a connection as
// many as there can be, and for a new one those of a minute, as ever. For one that
// its process has closed, and whose peer has not read all of it yet, none at all
// would be left.
func quicken() {
	const dir = "/proc/sys/net/ipv4/"
	if os.WriteFile(dir+"tcp_rto_max_ms", []byte("1000"), 0) != nil {
		return
	}
	os.WriteFile(dir+"tcp_retries2", []byte("255"), 0)
	os.WriteFile(dir+"tcp_orphan_retries", []byte("100"), 0)
	os.WriteFile(dir+"tcp_syn_retries", []byte("60"), 0)
	os.WriteFile(dir+"tcp_synack_retries", []byte("60"), 0)
}

// start starts a process in a node's network. It is a child of our own parent.
func (s *networkSwitch) start(r *request, fds []int) (pid int, err error) {
	files := make([]uintptr, len(fds))
	for i, fd := range fds {
		files[i] = uintptr(fd)
	}
	err = s.within(s.nodes[r.Node].ns, func() (err error) {
		pid, err = syscall.ForkExec(r.Path, r.Args, &syscall.ProcAttr{
			Dir: r.Dir, Env: r.Env, Files: files,
			Sys: &syscall.SysProcAttr{Setpgid: true, Cloneflags: unix.CLONE_PARENT},
		})
		return forkexec.Explain(err, len(fds), fds...)
	})
	return pid, err
}

func (s *networkSwitch) socket(node, kind int) (fd int, err error) {
	err = s.within(s.nodes[node].ns, func() error {
		fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// cut has directions be cut, or no longer, and returns when they are.
func (s *networkSwitch) cut(changes []change) error {
	for _, c := range changes {
		r := rule{priority: cutPriority, from: s.nodes[c.From].addr}
		to := s.nodes[c.To].routes
		var err error
		if c.Cut {
			if err = to.addRule(r); errors.Is(err, unix.EEXIST) {
				err = nil
			}
		} else if err = to.deleteRule(r); errors.Is(err, unix.ENOENT) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return s.prove(changes)
}

// openProbe makes the socket by which it is seen whether something arrives.
func (p *place) openProbe() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: p.addr.As4()}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// Whether something arrives is seen at once, also where it is delayed.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, rootHandle); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	p.probe, p.port = fd, uint16(sa.(*unix.SockaddrInet4).Port)
	return nil
}

const (
	proofTime  = 10 * time.Second // for what is to arrive
	proofPause = time.Millisecond // until it is sent again
)

// prove sends something in each direction, and returns when all has arrived
// where it is to, and nothing where it is not.
func (s *networkSwitch) prove(changes []change) error {
	cut := make(map[uint32]change)
	for _, c := range changes {
		if c.Cut {
			cut[s.send(c.From, c.To)] = c
		}
	}
	// What has gone before has arrived when these have, or is lost: this thread
	// delivers one after the other.
	var fences []change
	for i := range s.nodes {
		fences = append(fences, change{From: i, To: i})
	}
	for range 2 {
		if err := s.arrive(fences); err != nil {
			return err
		}
	}
	for seq, c := range cut {
		for _, n := range s.nodes {
			if n.got[seq] {
				return fmt.Errorf("the rule that drops what node-%d sends to node-%d has no effect", c.From+1, c.To+1)
			}
		}
	}
	var flowing []change
	for _, c := range changes {
		if !c.Cut {
			flowing = append(flowing, c)
		}
	}
	err := s.arrive(flowing)
	for _, n := range s.nodes {
		clear(n.got)
	}
	return err
}

// send sends a probe, and returns its number.
func (s *networkSwitch) send(from, to int) uint32 {
	s.seq++
	n := s.nodes[to]
	// An error is a probe that does not arrive.
	unix.Sendto(s.nodes[from].probe, u32(s.seq), 0, &unix.SockaddrInet4{Addr: n.addr.As4(), Port: int(n.port)})
	return s.seq
}

// arrive sends in each direction until something has arrived.
func (s *networkSwitch) arrive(directions []change) error {
	sent := make(map[uint32]change)
	missing := make(map[change]bool, len(directions))
	for _, c := range directions {
		missing[c] = true
	}
	for until := time.Now().Add(proofTime); len(missing) > 0; {
		var polled []unix.PollFd
		for c := range missing {
			sent[s.send(c.From, c.To)] = c
			polled = append(polled, unix.PollFd{Fd: int32(s.nodes[c.To].probe), Events: unix.POLLIN})
		}
		for again := time.Now().Add(proofPause); ; {
			for c := range missing {
				s.nodes[c.To].drain(func(seq uint32) {
					if c, ok := sent[seq]; ok {
						delete(missing, c)
					}
				})
			}
			if len(missing) == 0 || !time.Now().Before(again) {
				break
			}
			unix.Poll(polled, 1)
		}
		if len(missing) > 0 && time.Now().After(until) {
			for c := range missing {
				return fmt.Errorf("what node-%d sends to node-%d does not arrive within %v", c.From+1, c.To+1, proofTime)
			}
		}
	}
	return nil
}

// drain takes what probes have arrived.
func (p *place) drain(got func(seq uint32)) {
	var b [16]byte
	for {
		n, _, err := unix.Recvfrom(p.probe, b[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		if n != 4 {
			continue // somebody else's
		}
		seq := binary.NativeEndian.Uint32(b[:])
		p.got[seq] = true
		if from, ok := p.awaited[seq]; ok {
			p.forget(from)
		}
		got(seq)
	}
}

// index finds nodes by their addresses.
func (s *networkSwitch) index() map[netip.Addr]int {
	m := make(map[netip.Addr]int, len(s.nodes))
	for i, n := range s.nodes {
		m[n.addr] = i
	}
	return m
}

// hold notes which ends of connections between nodes wait for an acknowledgement,
// and counts them.
func (s *networkSwitch) hold(between []change) (int, error) {
	want := make(map[[2]int]bool)
	for _, c := range between {
		want[[2]int{c.From, c.To}], want[[2]int{c.To, c.From}] = true, true
	}
	byAddr := s.index()
	s.held = make(map[string]uint64)
	for i, n := range s.nodes {
		all, err := n.diag.connections()
		if err != nil {
			return 0, err
		}
		for _, c := range all {
			if to, ok := byAddr[c.remote.Addr()]; ok && c.outstanding && want[[2]int{i, to}] {
				s.held[string(c.id)] = c.acked
			}
		}
	}
	return len(s.held), nil
}

// waiting forgets those of them that have got one since, or have ended, and counts
// the others.
func (s *networkSwitch) waiting() (int, error) {
	left := make(map[string]uint64)
	for _, n := range s.nodes {
		all, err := n.diag.connections()
		if err != nil {
			return 0, err
		}
		for _, c := range all {
			if acked, ok := s.held[string(c.id)]; ok && c.outstanding && c.acked == acked {
				left[string(c.id)] = acked
			}
		}
	}
	s.held = left
	return len(left), nil
}

// resetTime is how long the other end may take to hear of a reset, before it
// is reset, too.
const resetTime = 100 * time.Millisecond

// reset ends the connections between nodes. The kernel tells the end that it
// destroys that the connection was aborted, and the other that it was reset:
// that is to be the one that has dialled, where it can be told from its port.
func (s *networkSwitch) reset(between []change, ports []uint16) (int, error) {
	listens := make(map[uint16]bool)
	for _, p := range ports {
		listens[p] = true
	}
	type flow struct{ a, b netip.AddrPort }
	canonical := func(c connection) flow {
		if c.local.Compare(c.remote) < 0 {
			return flow{c.local, c.remote}
		}
		return flow{c.remote, c.local}
	}
	want := make(map[[2]int]bool)
	for _, c := range between {
		want[[2]int{c.From, c.To}], want[[2]int{c.To, c.From}] = true, true
	}
	byAddr := s.index()
	each := func(act func(at *place, c connection) error) error {
		for i, n := range s.nodes {
			all, err := n.diag.connections()
			if err != nil {
				return err
			}
			for _, c := range all {
				if to, ok := byAddr[c.remote.Addr()]; ok && to != i && want[[2]int{i, to}] {
					if err := act(n, c); err != nil {
						return fmt.Errorf("reset a connection: %w", err)
					}
				}
			}
		}
		return nil
	}
	there := make(map[flow]bool)
	err := each(func(at *place, c connection) error {
		there[canonical(c)] = true
		if !listens[c.local.Port()] {
			return nil
		}
		return at.diag.destroy(c)
	})
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	for {
		left := 0
		err := each(func(at *place, c connection) error {
			if !there[canonical(c)] {
				return nil
			}
			left++
			if listens[c.remote.Port()] && time.Since(begin) < resetTime {
				return nil // it hears of it
			}
			return at.diag.destroy(c)
		})
		if err != nil || left == 0 {
			return len(there), err
		}
		time.Sleep(time.Millisecond)
	}
}
