//go:build !linux

package network

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Other systems have 127.0.0.1 only, unless somebody configured aliases.
const perNodeByDefault = false

func inUse(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaeaddrinuse)
}

const wsaeaddrinuse = syscall.Errno(10048)

// hold only checks here that the port is free: a bound socket would keep the
// node out as well. Ports are taken in turn from a random start, which makes it
// unlikely that two test binaries meet.
func hold(addr netip.AddrPort) (interface{ Close() error }, error) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	u.Close()
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	return nothing{}, l.Close()
}

type nothing struct{}

func (nothing) Close() error { return nil }

func claimBlock(netip.Prefix) (interface{ Close() error }, error) { return nothing{}, nil }
