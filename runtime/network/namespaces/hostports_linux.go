package namespaces

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What this machine has on its loopback interface is had by a node, too, at the
// ports that were asked for: in the node's network there is a socket at
// 127.0.0.1, and this process, which has its descriptor, passes on what comes.
//
// A kernel that listens accepts before anybody could ask whether there is
// something to connect to. So the first packet of a connection is held: a filter
// of the listener drops it, this process sees it on the interface, dials, and sends
// it again, marked, for the filter to let it through; or refuses in the kernel's
// stead. Where packets cannot be seen, a connection that cannot be passed on is
// accepted and reset.

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// passMark marks what has been held and may pass.
const passMark = 0x64697374 // "dist"

// withoutPackets is for tests: as where packets cannot be seen.
var withoutPackets bool

// giveHost has a node reach a port of this machine's 127.0.0.1 at its own.
func (n *Network) giveHost(h *Host, port int) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("there is no port %d", port)
	}
	a := netip.AddrPortFrom(localhost, uint16(port))
	seen, packets := n.packets(h, port)
	if packets != nil {
		n.hold(seen)
		n.hold(packets)
	}
	f, err := n.bound(request{Op: opBound, Node: h.node, Port: port, Type: unix.SOCK_STREAM, Held: packets != nil})
	if err != nil {
		return err
	}
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		return err
	}
	if f, err = n.bound(request{Op: opBound, Node: h.node, Port: port, Type: unix.SOCK_DGRAM}); err != nil {
		l.Close()
		return err
	}
	u, err := net.FilePacketConn(f)
	f.Close()
	if err != nil {
		l.Close()
		return err
	}
	p := &hostPort{f: &n.forwarders, at: a, packets: packets, waiting: make(map[netip.AddrPort]*dialled)}
	n.hold(l)
	n.hold(u)
	n.accept(l.(*net.TCPListener), p.stream)
	n.going.Go(func() {
		n.datagrams(u.(*net.UDPConn), func() (net.Conn, error) { return p.dial(n.ctx, "udp") })
	})
	if packets != nil {
		n.going.Go(func() { p.watch(seen) })
	}
	return nil
}

// packets are the sockets by which the first packets of connections to a port are
// seen, and sent; nil where there are none to be had.
func (n *Network) packets(h *Host, port int) (seen, send *os.File) {
	if withoutPackets {
		return nil, nil
	}
	seen, err := n.bound(request{Op: opBound, Node: h.node, Port: port, Type: unix.SOCK_PACKET})
	if err != nil {
		return nil, nil
	}
	if send, err = n.bound(request{Op: opBound, Node: h.node, Port: port, Type: unix.SOCK_RAW}); err != nil {
		seen.Close()
		return nil, nil
	}
	return seen, send
}

// bound is a socket of a port in a node's network.
func (n *Network) bound(r request) (*os.File, error) {
	_, got, err := n.ask(r)
	if err != nil {
		return nil, err
	}
	if len(got) != 1 {
		closeAll(got)
		return nil, errors.New("no socket was made")
	}
	return os.NewFile(uintptr(got[0]), "socket"), nil // it does not block
}

// A hostPort is a port of this machine, for one node.
type hostPort struct {
	f       *forwarders
	at      netip.AddrPort
	packets *os.File // nil: connections are not held

	mu      sync.Mutex
	waiting map[netip.AddrPort]*dialled // by who wants to connect
}

// A dialled is the connection for one that is held.
type dialled struct {
	seq   uint32       // of the first packet: the next connection of the same port has another
	conn  *net.TCPConn // nil: not yet
	taken bool         // conn is: a first packet that comes again is late
}

// acceptTime is how long a connection that is not held any more may take to be
// accepted; whoever wants it may have given up.
const acceptTime = 30 * time.Second

func (p *hostPort) dial(ctx context.Context, netw string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, netw, p.at.String())
}

// stream passes on a connection that was accepted.
func (p *hostPort) stream(client *net.TCPConn) {
	from := client.RemoteAddr().(*net.TCPAddr).AddrPort()
	p.mu.Lock()
	d := p.waiting[from]
	held := d != nil && d.conn != nil && !d.taken
	if held {
		d.taken = true
	}
	p.mu.Unlock()
	if held {
		p.f.splice(client, d.conn)
		return
	}
	p.f.stream(client, func(ctx context.Context) (net.Conn, error) { return p.dial(ctx, "tcp") })
}

// watch sees the first packets of connections.
func (p *hostPort) watch(seen *os.File) {
	buf := make([]byte, maxDatagram)
	for {
		n, err := seen.Read(buf)
		if errors.Is(err, os.ErrClosed) || p.f.ctx.Err() != nil {
			return
		}
		if err != nil {
			continue
		}
		syn, ok := parseSYN(buf[:n])
		if !ok {
			continue
		}
		p.mu.Lock()
		d := p.waiting[syn.from]
		if d == nil || d.seq != syn.seq {
			if d != nil && d.conn != nil && !d.taken {
				p.f.drop(d.conn)
			}
			d = &dialled{seq: syn.seq}
			p.waiting[syn.from] = d
			p.f.going.Go(func() { p.decide(syn, d) })
		} else if d.conn != nil && !d.taken {
			p.send(syn.packet) // it has been lost
		} // else it is being dialled
		p.mu.Unlock()
	}
}

// decide has a connection be made, or refused, as the one that it is to be passed
// on to.
func (p *hostPort) decide(syn syn, d *dialled) {
	ctx, cancel := context.WithTimeout(p.f.ctx, dialTime)
	defer cancel()
	conn, err := p.dial(ctx, "tcp")
	p.mu.Lock()
	defer p.mu.Unlock()
	current := p.waiting[syn.from] == d
	if err != nil {
		if current {
			delete(p.waiting, syn.from)
			if errors.Is(err, unix.ECONNREFUSED) {
				p.send(syn.refusal())
			} // else the packet is lost, and comes again
		}
		return
	}
	if !current || !p.f.hold(conn) {
		conn.Close()
		return
	}
	d.conn = conn.(*net.TCPConn)
	time.AfterFunc(acceptTime, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waiting[syn.from] == d {
			delete(p.waiting, syn.from)
			if !d.taken {
				p.f.drop(conn)
			}
		}
	})
	p.send(syn.packet)
}

// send sends a packet in the node's network. One that cannot be sent is lost.
func (p *hostPort) send(packet []byte) {
	raw, err := p.packets.SyscallConn()
	if err != nil {
		return
	}
	raw.Write(func(fd uintptr) bool {
		err := unix.Sendto(int(fd), packet, 0, &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])})
		return err != unix.EAGAIN
	})
}

// A syn is the first packet of a connection.
type syn struct {
	from, to netip.AddrPort
	seq      uint32
	packet   []byte // IPv4 and TCP, whole
}

const (
	ipHeader  = 20 // bytes, without options
	tcpHeader = 20

	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

func parseSYN(b []byte) (s syn, ok bool) {
	if len(b) < ipHeader || b[0]>>4 != 4 || b[9] != unix.IPPROTO_TCP {
		return s, false
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < ipHeader || total > len(b) || total < head+tcpHeader {
		return s, false
	}
	s.packet = append([]byte(nil), b[:total]...)
	t := s.packet[head:]
	if t[13]&(flagSYN|flagACK) != flagSYN {
		return s, false
	}
	s.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), binary.BigEndian.Uint16(t))
	s.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), binary.BigEndian.Uint16(t[2:]))
	s.seq = binary.BigEndian.Uint32(t[4:])
	sumTCP(s.packet[:head], t) // the interface leaves it to the receiver
	return s, true
}

// refusal is what a kernel answers where nobody listens.
func (s syn) refusal() []byte {
	b := make([]byte, ipHeader+tcpHeader)
	b[0], b[8], b[9] = 4<<4|ipHeader/4, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], s.to.Addr().AsSlice())
	copy(b[16:], s.from.Addr().AsSlice())
	t := b[ipHeader:]
	binary.BigEndian.PutUint16(t, s.to.Port())
	binary.BigEndian.PutUint16(t[2:], s.from.Port())
	binary.BigEndian.PutUint32(t[8:], s.seq+1)
	t[12], t[13] = tcpHeader/4<<4, flagRST|flagACK
	sumTCP(b, t)
	return b
}

// sumTCP sets the checksum of a segment. The kernel sets that of the packet.
func sumTCP(ip, t []byte) {
	t[16], t[17] = 0, 0
	sum := uint32(unix.IPPROTO_TCP) + uint32(len(t))
	for _, b := range [][]byte{ip[12:20], t} {
		for i, c := range b {
			if i%2 == 0 {
				sum += uint32(c) << 8
			} else {
				sum += uint32(c)
			}
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(t[16:], ^uint16(sum))
}

// bound makes a socket of a port at 127.0.0.1 in a node's network: one that
// listens or receives datagrams, or one that sees the first packets of
// connections to it, or sends such.
func (s *networkSwitch) bound(r *request) (fd int, err error) {
	domain, protocol := unix.AF_INET, 0
	switch r.Type {
	case unix.SOCK_PACKET:
		domain = unix.AF_PACKET // of no protocol: it gets nothing until it is bound
	case unix.SOCK_RAW:
		protocol = unix.IPPROTO_RAW
	}
	kind := r.Type
	if kind == unix.SOCK_PACKET {
		kind = unix.SOCK_DGRAM
	}
	err = s.within(s.nodes[r.Node].ns, func() error {
		fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	here := &unix.SockaddrInet4{Addr: localhost.As4(), Port: r.Port}
	switch r.Type {
	case unix.SOCK_PACKET:
		if err = filter(fd, seesSYN(r.Port)); err != nil {
			return fd, err
		}
		ip := uint16(unix.ETH_P_IP)
		return fd, os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ip<<8 | ip>>8, Ifindex: loopback}))
	case unix.SOCK_RAW:
		return fd, os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, passMark))
	case unix.SOCK_STREAM:
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fd, os.NewSyscallError("setsockopt", err)
		}
		if r.Held {
			if err = filter(fd, holdsSYN); err != nil {
				return fd, err
			}
		}
		if err = unix.Bind(fd, here); err == nil {
			err = unix.Listen(fd, unix.SOMAXCONN)
		}
		return fd, os.NewSyscallError("bind", err)
	}
	return fd, os.NewSyscallError("bind", unix.Bind(fd, here))
}

func filter(fd int, program []unix.SockFilter) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}))
}

// markOf is where a filter finds the mark of a packet: SKF_AD_OFF + SKF_AD_MARK.
const markOf = 0xfffff000 + 20

// holdsSYN is the filter of a listener, to which a packet begins with its TCP
// header: what is to begin a connection is dropped unless it is marked.
var holdsSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: flagSYN | flagACK},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: flagSYN, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: markOf},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: passMark, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
}

// seesSYN is the filter of a socket that sees what is to begin a connection to a
// port of 127.0.0.1, and is not marked. A packet begins with its IP header.
func seesSYN(port int) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_TCP, Jf: 11},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: binary.BigEndian.Uint32(localhost.AsSlice()), Jf: 9},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(port), Jf: 6},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 13},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: flagSYN | flagACK},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: flagSYN, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: markOf},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: passMark, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}
