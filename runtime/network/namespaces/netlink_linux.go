package namespaces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A netlinkSocket asks the kernel about the network namespace that it was made
// in. It is not safe for concurrent use.
//
// It is of our own because it would be in every test binary: the six messages
// that are needed take less than a hundredth of the space of a library that
// knows them all.
type netlinkSocket struct {
	fd  int
	seq uint32
	buf []byte
}

func newNetlink(protocol int) (*netlinkSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	return &netlinkSocket{fd: fd, buf: make([]byte, 64<<10)}, nil
}

// do asks for a change, and returns when it is made.
func (s *netlinkSocket) do(kind uint16, flags uint16, body []byte) error {
	return s.ask(kind, flags|unix.NLM_F_ACK, body, nil)
}

// ask sends a request. Each part of the answer is passed to part, if that is not
// nil.
func (s *netlinkSocket) ask(kind, flags uint16, body []byte, part func([]byte)) error {
	s.seq++
	m := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(m[0:], uint32(cap(m)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	binary.NativeEndian.PutUint32(m[8:], s.seq)
	m = append(m, body...)
	if err := unix.Sendto(s.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		for rest := s.buf[:n]; len(rest) >= unix.NLMSG_HDRLEN; {
			size := int(binary.NativeEndian.Uint32(rest))
			if size < unix.NLMSG_HDRLEN || size > len(rest) {
				return errors.New("a cut answer of the kernel")
			}
			one := rest[:size]
			rest = rest[min((size+3)&^3, len(rest)):]
			if binary.NativeEndian.Uint32(one[8:]) != s.seq {
				continue
			}
			switch binary.NativeEndian.Uint16(one[4:]) {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				if size < unix.NLMSG_HDRLEN+4 {
					return errors.New("a short answer of the kernel")
				}
				if errno := -int32(binary.NativeEndian.Uint32(one[unix.NLMSG_HDRLEN:])); errno != 0 {
					return unix.Errno(errno)
				}
				return nil
			}
			if part != nil {
				part(one[unix.NLMSG_HDRLEN:])
			}
		}
	}
}

func (s *netlinkSocket) close() { unix.Close(s.fd) }

// attr appends an attribute. Its value is the parts, one after the other.
func attr(b []byte, kind uint16, parts ...[]byte) []byte {
	size := unix.SizeofNlAttr
	for _, p := range parts {
		size += len(p)
	}
	b = binary.NativeEndian.AppendUint16(b, uint16(size))
	b = binary.NativeEndian.AppendUint16(b, kind)
	for _, p := range parts {
		b = append(b, p...)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func text(s string) []byte { return append([]byte(s), 0) }

func ip(a netip.Addr) []byte {
	b := a.As4()
	return b[:]
}

// ifinfo is a struct ifinfomsg. A device that is to be up is.
func ifinfo(index uint32, up bool) []byte {
	b := []byte{unix.AF_UNSPEC, 0, 0, 0}
	b = append(b, u32(index)...)
	flags := uint32(0)
	if up {
		flags = unix.IFF_UP
	}
	b = append(b, u32(flags)...)
	return append(b, u32(flags)...) // only that one is changed
}

// addBridge makes a bridge that is up.
func (s *netlinkSocket) addBridge(index uint32, name string) error {
	b := attr(ifinfo(index, true), unix.IFLA_IFNAME, text(name))
	b = attr(b, unix.IFLA_LINKINFO, attr(nil, unix.IFLA_INFO_KIND, []byte("bridge")))
	if err := s.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b); err != nil {
		return fmt.Errorf("make a bridge: %w", err)
	}
	return nil
}

const vethInfoPeer = 1 // VETH_INFO_PEER

// addVeth makes a pair of devices: one up on a bridge, the other, by another
// index and with an address of Ethernet, in the namespace of a descriptor.
func (s *netlinkSocket) addVeth(index uint32, name string, bridge uint32, peer uint32, peerName string, mac []byte, ns int, mtu uint32) error {
	other := attr(ifinfo(peer, false), unix.IFLA_IFNAME, text(peerName))
	other = attr(other, unix.IFLA_MTU, u32(mtu))
	other = attr(other, unix.IFLA_ADDRESS, mac)
	other = attr(other, unix.IFLA_NET_NS_FD, u32(uint32(ns)))
	b := attr(ifinfo(index, true), unix.IFLA_IFNAME, text(name))
	b = attr(b, unix.IFLA_MTU, u32(mtu))
	b = attr(b, unix.IFLA_MASTER, u32(bridge))
	info := attr(nil, unix.IFLA_INFO_KIND, []byte("veth"))
	info = attr(info, unix.IFLA_INFO_DATA, attr(nil, vethInfoPeer, other))
	b = attr(b, unix.IFLA_LINKINFO, info)
	if err := s.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b); err != nil {
		return fmt.Errorf("make a pair of devices: %w", err)
	}
	return nil
}

// macvlanBridge is MACVLAN_MODE_BRIDGE: what is for another one on the same device
// is passed to it.
const macvlanBridge = 4

// addMacvlan makes a device on top of another one, in the namespace of a
// descriptor.
func (s *netlinkSocket) addMacvlan(index uint32, name string, on uint32, mac []byte, ns int, mtu uint32) error {
	b := attr(ifinfo(index, false), unix.IFLA_IFNAME, text(name))
	b = attr(b, unix.IFLA_LINK, u32(on))
	b = attr(b, unix.IFLA_MTU, u32(mtu))
	b = attr(b, unix.IFLA_ADDRESS, mac)
	b = attr(b, unix.IFLA_NET_NS_FD, u32(uint32(ns)))
	info := attr(nil, unix.IFLA_INFO_KIND, []byte("macvlan"))
	info = attr(info, unix.IFLA_INFO_DATA, attr(nil, 1 /* IFLA_MACVLAN_MODE */, u32(macvlanBridge)))
	b = attr(b, unix.IFLA_LINKINFO, info)
	if err := s.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b); err != nil {
		return fmt.Errorf("make a device on another: %w", err)
	}
	return nil
}

// Settings of a device, by number in IPV4_DEVCONF.
const (
	devconfRPFilter      = 8
	devconfRouteLocalnet = 26
)

// up switches a device on, with settings of IPv4.
func (s *netlinkSocket) up(index uint32, settings map[uint16]uint32) error {
	b := ifinfo(index, true)
	if len(settings) > 0 {
		var conf []byte
		for k, v := range settings {
			conf = attr(conf, k, u32(v))
		}
		inet := attr(nil, unix.IFLA_INET_CONF, conf)
		b = attr(b, unix.IFLA_AF_SPEC, attr(nil, unix.AF_INET, inet))
	}
	if err := s.do(unix.RTM_NEWLINK, 0, b); err != nil {
		return fmt.Errorf("switch a device on: %w", err)
	}
	return nil
}

// addAddr gives a device an address without a network.
func (s *netlinkSocket) addAddr(index uint32, a netip.Addr) error {
	b := append([]byte{unix.AF_INET, 32, 0, unix.RT_SCOPE_HOST}, u32(index)...)
	b = attr(b, unix.IFA_LOCAL, ip(a))
	b = attr(b, unix.IFA_ADDRESS, ip(a))
	if err := s.do(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b); err != nil {
		return fmt.Errorf("give a device the address %v: %w", a, err)
	}
	return nil
}

// addRoute has a network be reached by a device, or be this host's own.
func (s *netlinkSocket) addRoute(table uint8, to netip.Prefix, kind uint8, device uint32, from netip.Addr) error {
	scope := uint8(unix.RT_SCOPE_LINK)
	if kind == unix.RTN_LOCAL {
		scope = unix.RT_SCOPE_HOST
	}
	b := []byte{unix.AF_INET, uint8(to.Bits()), 0, 0, table, unix.RTPROT_STATIC, scope, kind, 0, 0, 0, 0}
	b = attr(b, unix.RTA_DST, ip(to.Addr()))
	b = attr(b, unix.RTA_OIF, u32(device))
	b = attr(b, unix.RTA_PREFSRC, ip(from))
	if err := s.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b); err != nil {
		return fmt.Errorf("add a route to %v: %w", to, err)
	}
	return nil
}

// addNeighbour says by which address of Ethernet a neighbour is reached, for good.
func (s *netlinkSocket) addNeighbour(device uint32, a netip.Addr, mac []byte) error {
	b := append([]byte{unix.AF_INET, 0, 0, 0}, u32(device)...)
	b = append(b, unix.NUD_PERMANENT, 0, 0, 0)
	b = attr(b, unix.NDA_DST, ip(a))
	b = attr(b, unix.NDA_LLADDR, mac)
	if err := s.do(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b); err != nil {
		return fmt.Errorf("add the neighbour %v: %w", a, err)
	}
	return nil
}

// A rule of the routing: what comes from an address, or everything, is looked up
// in a table, or dropped. Those of lower priority are asked first.
type rule struct {
	priority uint32
	from     netip.Addr // not valid: everybody
	table    uint8      // 0: dropped, and nobody is told
}

func (r rule) body() []byte {
	bits, action := uint8(0), uint8(unix.FR_ACT_TO_TBL)
	if r.from.IsValid() {
		bits = 32
	}
	if r.table == 0 {
		action = unix.FR_ACT_BLACKHOLE
	}
	b := []byte{unix.AF_INET, 0, bits, 0, r.table, 0, 0, action, 0, 0, 0, 0}
	b = attr(b, unix.FRA_PRIORITY, u32(r.priority))
	if r.from.IsValid() {
		b = attr(b, unix.FRA_SRC, ip(r.from))
	}
	return b
}

func (s *netlinkSocket) addRule(r rule) error {
	if err := s.do(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r.body()); err != nil {
		return fmt.Errorf("add a rule to the routing: %w", err)
	}
	return nil
}

func (s *netlinkSocket) deleteRule(r rule) error {
	if err := s.do(unix.RTM_DELRULE, 0, r.body()); err != nil {
		return fmt.Errorf("delete a rule of the routing: %w", err)
	}
	return nil
}

// A connection is one end of a TCP connection.
type connection struct {
	id            []byte // a struct inet_diag_sockid
	family        uint8
	local, remote netip.AddrPort
	outstanding   bool   // something that was sent is not acknowledged
	acked         uint64 // bytes that are
}

// States of TCP.
const (
	tcpEstablished = 1
	tcpFinWait1    = 4
	tcpFinWait2    = 5
	tcpCloseWait   = 8
	tcpLastAck     = 9
	tcpClosing     = 11

	connected = 1<<tcpEstablished | 1<<tcpFinWait1 | 1<<tcpFinWait2 | 1<<tcpCloseWait | 1<<tcpLastAck | 1<<tcpClosing
)

const (
	diagInfo = 2  // INET_DIAG_INFO, a struct tcp_info
	diagSize = 72 // of a struct inet_diag_msg, which attributes follow
)

// diagRequest is a struct inet_diag_req_v2.
func diagRequest(family uint8, states uint32, id []byte) []byte {
	b := append([]byte{family, unix.IPPROTO_TCP, 1 << (diagInfo - 1), 0}, u32(states)...)
	if id == nil {
		id = make([]byte, 48)
	}
	return append(b, id...)
}

// connections are the ends of TCP connections in the namespace of a socket of
// NETLINK_SOCK_DIAG.
func (s *netlinkSocket) connections() (all []connection, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		err := s.ask(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, diagRequest(family, connected, nil), func(b []byte) {
			if len(b) < diagSize {
				return
			}
			const retransmit = 1
			id := b[4:]
			addr := func(b []byte) netip.Addr {
				if family == unix.AF_INET {
					return netip.AddrFrom4([4]byte(b))
				}
				return netip.AddrFrom16([16]byte(b[:16])).Unmap()
			}
			all = append(all, connection{
				id: append([]byte(nil), id[:48]...), family: family,
				local:       netip.AddrPortFrom(addr(id[4:]), binary.BigEndian.Uint16(id[0:])),
				remote:      netip.AddrPortFrom(addr(id[20:]), binary.BigEndian.Uint16(id[2:])),
				outstanding: b[2] == retransmit, acked: bytesAcked(b[diagSize:]),
			})
		})
		if err != nil && err != unix.ENOENT { // no IPv6
			return nil, fmt.Errorf("ask for connections: %w", err)
		}
	}
	return all, nil
}

// bytesAcked finds the number in the attributes of a connection.
func bytesAcked(attrs []byte) uint64 {
	const at = int(unsafe.Offsetof(unix.TCPInfo{}.Bytes_acked))
	for len(attrs) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(attrs))
		if size < unix.SizeofNlAttr || size > len(attrs) {
			break
		}
		if v := attrs[unix.SizeofNlAttr:size]; binary.NativeEndian.Uint16(attrs[2:]) == diagInfo && len(v) >= at+8 {
			return binary.NativeEndian.Uint64(v[at:])
		}
		attrs = attrs[min((size+3)&^3, len(attrs)):]
	}
	return 0
}

// destroy ends a connection as if it had been reset.
func (s *netlinkSocket) destroy(c connection) error {
	err := s.do(unix.SOCK_DESTROY, 0, diagRequest(c.family, 1<<31-1, c.id))
	if err == unix.ENOENT { // just now
		return nil
	}
	return err
}
