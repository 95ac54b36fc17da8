package links

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/procstat"
)

// A finder finds the processes behind connections.
type finder struct {
	mu   sync.Mutex
	fd   int // netlink socket
	seq  uint32
	open bool
}

func newFinder() (*finder, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// The kernel answers while it is asked; this is for kernels that do not.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	return &finder{fd: fd, open: true}, nil
}

func (f *finder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open {
		unix.Close(f.fd)
	}
	f.open = false
}

// find returns which of some processes, or of those in their process groups, has
// the client's end of a connection, or the socket from which a datagram came to
// server: an index into pids, or one of the others.
func (f *finder) find(p protocol, client, server netip.AddrPort, pids []int) int {
	inode, err := f.inode(p, client, server)
	if err != nil || inode == 0 {
		return unknown
	}
	if i := owner(inode, pids); i != foreign {
		return i
	}
	// Nobody's, or closed in the meantime by one that is not asked any more?
	if again, err := f.inode(p, client, server); err != nil || again != inode {
		return unknown
	}
	return foreign
}

// bound reports whether somebody has a socket at an address, to which others can
// send.
func (f *finder) bound(p protocol, addr netip.AddrPort) bool {
	inode, err := f.inode(p, addr, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	return err == nil && inode != 0
}

// dialler returns who has a socket open: this process, before all others, since
// it dials nodes itself.
func dialler(inode uint32, pids []int) int {
	if found, _ := has(os.Getpid(), socketName(inode)); found {
		return outside
	}
	return owner(inode, pids)
}

func socketName(inode uint32) string {
	return "socket:[" + strconv.FormatUint(uint64(inode), 10) + "]"
}

// owner returns who has a socket open; unknown if it cannot look, for lack of
// descriptors of its own.
func owner(inode uint32, pids []int) int {
	socket := socketName(inode)
	blind := false
	for i, pid := range pids {
		if pid > 0 {
			found, b := has(pid, socket)
			if found {
				return i
			}
			blind = blind || b
		}
	}
	if found, b := has(os.Getpid(), socket); found {
		return outside
	} else if blind || b {
		return unknown
	}
	return inGroups(socket, pids)
}

// inGroups looks at all processes in the groups that some processes lead.
func inGroups(socket string, pids []int) int {
	all, err := procstat.PIDs()
	if outOfFiles(err) {
		return unknown
	}
	if err != nil {
		return foreign
	}
	blind := false
	for _, pid := range all {
		group, err := unix.Getpgid(pid)
		if err != nil {
			continue
		}
		for i, leader := range pids {
			if group != leader || pid == leader {
				continue
			}
			found, b := has(pid, socket)
			if found {
				return i
			}
			blind = blind || b
		}
	}
	if blind {
		return unknown
	}
	return foreign
}

// canLook tries what has does with every process. It takes one descriptor more
// than are open then.
func canLook() error {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return err
	}
	return d.Close()
}

// has reports whether a process has a socket open, and whether there was no
// descriptor to look with.
func has(pid int, socket string) (found, blind bool) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	d, err := os.Open(dir)
	if err != nil {
		return false, outOfFiles(err)
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var buf [64]byte
	for _, name := range names {
		n, err := unix.Readlinkat(int(d.Fd()), name, buf[:])
		if err == nil && string(buf[:n]) == socket {
			return true, false
		}
	}
	return false, false
}

// The kernel's struct inet_diag_req_v2 behind its header, and where in an answer
// the inode is.
type diagRequest struct {
	unix.NlMsghdr
	family, protocol, ext, _ uint8
	states                   uint32
	sport, dport             [2]byte // big endian
	src, dst                 [16]byte
	device                   uint32
	cookie                   [2]uint32
}

const diagInode = unix.SizeofNlMsghdr + 4 + 48 + 4*4

// inode returns the inode of the socket at the client's end of a connection to
// server; 0 if nobody has it open any more.
func (f *finder) inode(p protocol, client, server netip.AddrPort) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.open {
		return 0, os.ErrClosed
	}
	f.seq++
	r := diagRequest{
		family: unix.AF_INET, protocol: uint8(p), states: ^uint32(0),
		cookie: [2]uint32{^uint32(0), ^uint32(0)}, // whatever it is
	}
	r.NlMsghdr = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(r)), Type: unix.SOCK_DIAG_BY_FAMILY, Flags: unix.NLM_F_REQUEST, Seq: f.seq}
	if p == udp { // what is asked for is the socket that gets it, as if a datagram was sent to it
		client, server = server, client
	}
	binary.BigEndian.PutUint16(r.sport[:], client.Port())
	binary.BigEndian.PutUint16(r.dport[:], server.Port())
	src, dst := client.Addr().Unmap().As4(), server.Addr().Unmap().As4()
	copy(r.src[:], src[:])
	copy(r.dst[:], dst[:])
	request := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	if err := unix.Sendto(f.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(f.fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, os.NewSyscallError("recvfrom", err)
		}
		if n < unix.SizeofNlMsghdr {
			return 0, errors.New("a short answer about a socket")
		}
		if binary.NativeEndian.Uint32(buf[8:]) != f.seq {
			continue // of a question that was given up
		}
		if binary.NativeEndian.Uint16(buf[4:]) == unix.NLMSG_ERROR {
			if n < unix.SizeofNlMsghdr+4 {
				return 0, errors.New("a short answer about a socket")
			}
			errno := unix.Errno(-int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])))
			if errno == unix.ENOENT {
				return 0, nil
			}
			return 0, fmt.Errorf("ask for a socket: %w", errno)
		}
		if n < diagInode+4 {
			return 0, errors.New("a short answer about a socket")
		}
		const listening = 10
		if buf[unix.SizeofNlMsghdr+1] == listening {
			return 0, nil // another socket, on the client's port
		}
		return binary.NativeEndian.Uint32(buf[diagInode:]), nil
	}
}

// A dialled is the dialler's end of a connection.
type dialled struct {
	from, to netip.AddrPort
	inode    uint32
}

// diallers returns the connections that have been made to a port, wherever that
// is, or the sockets that send datagrams to nothing else.
func (f *finder) diallers(p protocol, port uint16) (all []dialled, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.open {
		return nil, os.ErrClosed
	}
	const established, synSent = 1, 2
	f.seq++
	r := diagRequest{family: unix.AF_INET, protocol: uint8(p), states: 1<<established | 1<<synSent}
	r.NlMsghdr = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(r)), Type: unix.SOCK_DIAG_BY_FAMILY, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Seq: f.seq}
	binary.BigEndian.PutUint16(r.dport[:], port)
	request := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	if err := unix.Sendto(f.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(f.fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		for msg := buf[:n]; len(msg) >= unix.SizeofNlMsghdr; {
			size := int(binary.NativeEndian.Uint32(msg))
			if size < unix.SizeofNlMsghdr || size > len(msg) {
				return nil, errors.New("a cut answer about sockets")
			}
			one := msg[:size]
			msg = msg[min((size+3)&^3, len(msg)):]
			if binary.NativeEndian.Uint32(one[8:]) != f.seq {
				continue
			}
			switch binary.NativeEndian.Uint16(one[4:]) {
			case unix.NLMSG_DONE:
				return all, nil
			case unix.NLMSG_ERROR:
				if size < unix.SizeofNlMsghdr+4 {
					return nil, errors.New("a short answer about sockets")
				}
				return nil, fmt.Errorf("ask for sockets: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(one[unix.SizeofNlMsghdr:]))))
			}
			if size < diagInode+4 {
				return nil, errors.New("a short answer about sockets")
			}
			id := one[unix.SizeofNlMsghdr+4:]
			d := dialled{
				from:  netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[4:8])), binary.BigEndian.Uint16(id[0:])),
				to:    netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[20:24])), binary.BigEndian.Uint16(id[2:])),
				inode: binary.NativeEndian.Uint32(one[diagInode:]),
			}
			if d.to.Port() == port { // not every kernel looks at what it is asked for
				all = append(all, d)
			}
		}
	}
}

// hasLeft reports whether the other end of a connection has closed it, or its
// half of it.
func hasLeft(c interface {
	Control(func(fd uintptr)) error
}) bool {
	const established = 1
	left := true
	err := c.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		left = err == nil && info.State != established
	})
	return err != nil || left
}
