package network

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const perNodeByDefault = true

func inUse(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// hold takes a TCP port for a node that is still to come. The socket is bound
// without SO_REUSEADDR, so that it is had by nobody else, and given the option
// afterwards: a bound socket that does not listen then lets a listener in that
// has the option too (Go's listeners do), while connections are refused and no
// search for a free port finds it. The same number must be free for UDP, which
// cannot be held in this way: datagrams would end in the holder's queue.
func hold(addr netip.AddrPort) (c interface{ Close() error }, err error) {
	sa := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = unix.Bind(udp, sa)
	unix.Close(udp)
	if err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(tcp, sa); err != nil {
		unix.Close(tcp)
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.SetsockoptInt(tcp, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		unix.Close(tcp)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	return socket(tcp), nil
}

type socket int

func (s socket) Close() error { return unix.Close(int(s)) }

// claimBlock takes a name in the abstract socket namespace. It reaches as far
// as the loopback interface does, the network namespace, across users, and is
// given back by the kernel when the process ends.
func claimBlock(p netip.Prefix) (interface{ Close() error }, error) {
	return net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: "@dist/" + p.String()})
}
