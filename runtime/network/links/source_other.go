//go:build !linux

package links

import "net/netip"

type finder struct{}

func newFinder() (*finder, error) { return nil, errNoSources }

func (*finder) close() {}

func (*finder) find(client, server netip.AddrPort, pids []int) int { return unknown }

func hasLeft(interface {
	Control(func(fd uintptr)) error
}) bool {
	return false
}
