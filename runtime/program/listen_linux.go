package program

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/distkit/dist/runtime/procstat"
)

// listeners are the TCP addresses that the processes of a group listen on, nil
// if that cannot be learnt. pgid is that of a node, which leads its group.
func listeners(pgid int) []string {
	at := []string{}
	for _, pid := range group(pgid) {
		addrs, err := listenersOf(pid, func([]netip.AddrPort) bool { return false })
		if err != nil {
			return nil
		}
		for _, a := range addrs {
			at = append(at, a.String())
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// listensOn reports whether a process of the group listens on all of the
// addresses; true if that cannot be learnt of one that lives.
func listensOn(pgid int, addrs []string) bool {
	// Mostly it is the first process, and others need not be looked for.
	enough := func(have []netip.AddrPort) bool { return covers(have, addrs) }
	if own, err := listenersOf(pgid, enough); err == nil && enough(own) {
		return true
	}
	var all []netip.AddrPort
	for _, pid := range group(pgid) {
		own, err := listenersOf(pid, enough)
		if err != nil {
			return !ended(pgid)
		}
		all = append(all, own...)
	}
	return enough(all)
}

// ended reports whether a process is gone, or waits to be reaped: then it has
// nothing that could be looked at.
func ended(pid int) bool {
	s, ok := procstat.Of(pid)
	return !ok || s.Zombie()
}

// covers reports whether who listens on have is reached by all of want.
func covers(have []netip.AddrPort, want []string) bool {
	for _, w := range want {
		ap, err := netip.ParseAddrPort(w)
		if err != nil {
			continue // a name
		}
		if !slices.ContainsFunc(have, func(h netip.AddrPort) bool {
			return h.Port() == ap.Port() && (h.Addr().IsUnspecified() || h.Addr().Unmap() == ap.Addr().Unmap())
		}) {
			return false
		}
	}
	return true
}

// group is the processes of a process group, its leader first.
func group(pgid int) []int {
	pids := []int{pgid}
	all, _ := procstat.PIDs()
	for _, pid := range all {
		if s, ok := procstat.Of(pid); ok && s.PGRP == pgid && pid != pgid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// listenersOf finds the sockets of a process among those of its network
// namespace. It looks no further once it has enough: to go through a table is
// dear where there are many connections.
func listenersOf(pid int, enough func([]netip.AddrPort) bool) ([]netip.AddrPort, error) {
	proc := fmt.Sprintf("/proc/%d", pid)
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return nil, err
	}
	own := make(map[string]bool)
	for _, fd := range fds {
		link, _ := os.Readlink(proc + "/fd/" + fd.Name())
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var addrs []netip.AddrPort
	if len(own) == 0 {
		return nil, nil
	}
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(proc + "/net/" + name)
		if err != nil {
			continue // no IPv6
		}
		lines := bufio.NewScanner(f)
		lines.Scan() // the heading
		for lines.Scan() {
			const listen = "0A"
			f := strings.Fields(lines.Text())
			if len(f) < 10 || f[3] != listen {
				break // listeners come first, and of others there can be very many
			}
			if a, ok := parseHexAddr(f[1]); ok && own[f[9]] {
				addrs = append(addrs, a)
			}
		}
		f.Close()
		if enough(addrs) {
			break
		}
	}
	return addrs, nil
}

// parseHexAddr reads an address as /proc/net has it: 32-bit words in the
// machine's byte order (little endian wherever Go runs Linux in practice), in
// hex.
func parseHexAddr(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	addr, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok && err == nil
}
