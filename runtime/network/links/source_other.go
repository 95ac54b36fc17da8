//go:build !linux

package links

import "net/netip"

type finder struct{}

func newFinder() (*finder, error) { return nil, errNoSources }

func (*finder) close() {}

func (*finder) find(_ protocol, client, server netip.AddrPort, pids []int) int { return unknown }

type dialled struct {
	from, to netip.AddrPort
	inode    uint32
}

func (*finder) bound(protocol, netip.AddrPort) bool { return false }

func (*finder) diallers(protocol, uint16) ([]dialled, error) { return nil, errNoSources }

func dialler(uint32, []int) int { return foreign }

func hasLeft(interface {
	Control(func(fd uintptr)) error
}) bool {
	return false
}
