package namespaces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/network"
)

// What a node sends to another one is shaped where it leaves the node, by a second
// device, to which a route leads it. What is not shaped goes by the first one, as
// ever, and no slower. The discipline of the second is an htb, which only tells
// apart whom something is for: a filter puts it into a class of the destination's,
// with a netem. A class comes and goes without a packet of another one being lost;
// changing the discipline of a device that is up would lose some.
const (
	rootHandle  = 1 << 16 // also the priority of a socket whose packets go past the classes
	leafHandles = 0x100   // the major number of the first netem's handle
	tcRoot      = math.MaxUint32
)

func class(to int) uint32 { return rootHandle | uint32(to+1) }

// Attributes of traffic control, as in linux/pkt_sched.h and linux/pkt_cls.h.
const (
	tcaKind    = 1
	tcaOptions = 2
	tcaStats2  = 7

	tcaStatsBasic = 1
	tcaStatsQueue = 3

	tcaHTBParms  = 1
	tcaHTBInit   = 2
	tcaHTBRate64 = 6
	tcaHTBCeil64 = 7

	tcaU32ClassID = 1
	tcaU32Sel     = 5

	tcaNetemRate      = 6
	tcaNetemRate64    = 8
	tcaNetemLatency64 = 10
	tcaNetemJitter64  = 11
	tcaNetemSeed      = 14
)

// unbounded is a rate, in bytes a second, that nothing comes near.
const unbounded = 1 << 40

// mostJitter is the most by which a netem spreads: its generator has 32 bits, of
// nanoseconds.
const mostJitter = math.MaxUint32 * time.Nanosecond

func u64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

// tcmsg is a struct tcmsg.
func tcmsg(device, handle, parent, info uint32) []byte {
	b := append([]byte{unix.AF_UNSPEC, 0, 0, 0}, u32(device)...)
	b = append(b, u32(handle)...)
	b = append(b, u32(parent)...)
	return append(b, u32(info)...)
}

// lacking reports whether an error says that the kernel has no such thing.
func lacking(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP)
}

// A missing error is a part of the traffic control that the kernel has not got.
type missing struct {
	kind string
	err  error
}

func (e *missing) Error() string {
	return fmt.Sprintf(`this kernel has no %s: have root run "modprobe -a sch_netem sch_htb cls_u32" where it comes with them`, e.kind)
}
func (e *missing) Unwrap() error { return e.err }

// control asks for a change of the traffic control, of a kind that the kernel may
// not know.
func (s *netlinkSocket) control(message, flags uint16, kind string, b []byte) error {
	err := s.do(message, flags, b)
	switch {
	case err == nil:
		return nil
	case lacking(err):
		return &missing{kind, err}
	}
	return fmt.Errorf("change the %s of a device: %w", kind, err)
}

// addRoot gives a device a discipline that can tell destinations apart.
func (s *netlinkSocket) addRoot(device uint32) error {
	b := attr(tcmsg(device, rootHandle, tcRoot, 0), tcaKind, text("htb"))
	const version = 3 // of struct tc_htb_glob
	b = attr(b, tcaOptions, attr(nil, tcaHTBInit, u32(version), u32(10), u32(0), u32(0), u32(0)))
	return s.control(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "htb", b)
}

func (s *netlinkSocket) deleteRoot(device uint32) error {
	return s.do(unix.RTM_DELQDISC, 0, tcmsg(device, rootHandle, tcRoot, 0))
}

// addClass makes the class of a destination, by number. It bounds nothing.
func (s *netlinkSocket) addClass(device uint32, to int) error {
	const (
		ethernet = 1       // TC_LINKLAYER_ETHERNET: the kernel needs no table
		tokens   = 1 << 24 // ticks of 64 ns
		quantum  = 1 << 17
	)
	rate := append([]byte{0, ethernet, 0, 0, 0, 0, 0, 0}, u32(math.MaxUint32)...)
	options := attr(nil, tcaHTBParms, rate, rate, u32(tokens), u32(tokens), u32(quantum), u32(0), u32(0))
	options = attr(options, tcaHTBRate64, u64(unbounded))
	options = attr(options, tcaHTBCeil64, u64(unbounded))
	b := attr(tcmsg(device, class(to), rootHandle, 0), tcaKind, text("htb"))
	b = attr(b, tcaOptions, options)
	return s.control(unix.RTM_NEWTCLASS, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "htb", b)
}

func (s *netlinkSocket) deleteClass(device uint32, to int) error {
	return s.do(unix.RTM_DELTCLASS, 0, tcmsg(device, class(to), 0, 0))
}

// filterOf is the head of what concerns the filter of a destination. Each has a
// priority of its own, by which it is deleted.
func filterOf(device uint32, to int) []byte {
	ipv4 := binary.NativeEndian.Uint16([]byte{0x08, 0x00})
	return tcmsg(device, 0, rootHandle, uint32(to+1)<<16|uint32(ipv4))
}

// addFilter puts what is for an address into the class of the destination.
func (s *netlinkSocket) addFilter(device uint32, to int, a netip.Addr) error {
	const (
		terminal    = 1  // TC_U32_TERMINAL
		destination = 16 // in a header of IPv4
	)
	key := append([]byte{0xff, 0xff, 0xff, 0xff}, ip(a)...)
	key = append(append(key, u32(destination)...), u32(0)...)
	selector := append([]byte{terminal, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, key...)
	options := attr(nil, tcaU32ClassID, u32(class(to)))
	options = attr(options, tcaU32Sel, selector)
	b := attr(filterOf(device, to), tcaKind, text("u32"))
	b = attr(b, tcaOptions, options)
	return s.control(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "u32 filter", b)
}

func (s *netlinkSocket) deleteFilter(device uint32, to int) error {
	return s.do(unix.RTM_DELTFILTER, 0, filterOf(device, to))
}

// A netem is what the kernel does to what passes.
type netem struct {
	latency, jitter time.Duration // from latency-jitter to latency+jitter
	limit           uint32        // packets under way
	loss            uint32        // of 2³²-1
	rate            uint64        // bytes a second
}

// netemOf is a condition as the kernel has it. That a rate is always given is
// what keeps packets in order: without one each would be sent when it is due.
func netemOf(c network.Condition) netem {
	n := netem{
		latency: c.Delay + c.Jitter/2, jitter: c.Jitter / 2,
		loss: uint32(c.Loss * math.MaxUint32), rate: unbounded, limit: mostPackets,
	}
	if c.Bandwidth > 0 {
		const queues = 50 * time.Millisecond // of the routers on the way
		n.rate = uint64(c.Bandwidth)
		small := float64(c.Bandwidth) * (c.Delay + c.Jitter + queues).Seconds() / smallPacket
		n.limit = uint32(min(max(small, leastPackets), mostPackets))
	}
	return n
}

// How many packets may be under way. The kernel counts them, not their bytes.
const (
	mostPackets  = 8192
	leastPackets = 32
	smallPacket  = 256
)

// packetSize is the most that a packet has in a direction: 10 ms' worth of the
// bandwidth, so that a stream flows evenly, or what it has in an Ethernet.
func packetSize(c network.Condition) uint32 {
	const ethernet = 1500
	if c.Bandwidth == 0 {
		return mtu
	}
	return uint32(min(max(c.Bandwidth/100, ethernet), mtu))
}

// setNetem has a netem be that of a destination's class, or another one than it
// was. What is lost by chance follows from the seed from now on, on a kernel that
// has a seed (Linux 6.7).
func (s *netlinkSocket) setNetem(device uint32, to int, n netem, seed uint64) error {
	const tick = 64 // ns
	ticks := func(d time.Duration) []byte { return u32(uint32(min((d+tick-1)/tick, math.MaxUint32))) }
	rate := append(u32(uint32(min(n.rate, math.MaxUint32))), make([]byte, 12)...)
	var more []byte
	more = attr(more, tcaNetemRate, rate)
	if n.rate > math.MaxUint32 {
		more = attr(more, tcaNetemRate64, u64(n.rate))
	}
	more = attr(more, tcaNetemLatency64, u64(uint64(n.latency)))
	more = attr(more, tcaNetemJitter64, u64(uint64(n.jitter)))
	if seed != 0 {
		more = attr(more, tcaNetemSeed, u64(seed))
	}
	b := attr(tcmsg(device, uint32(leafHandles+to+1)<<16, class(to), 0), tcaKind, text("netem"))
	const gap, duplicate = 0, 0
	b = attr(b, tcaOptions, ticks(n.latency), u32(n.limit), u32(n.loss), u32(gap), u32(duplicate), ticks(n.jitter), more)
	return s.control(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, "netem", b)
}

// A class of a device has a netem, which has seen some packets.
type shaper struct {
	netem
	seen uint64
}

// netems are what the kernel tells of those of a device, by class.
func (s *netlinkSocket) netems(device uint32) (map[uint32]shaper, error) {
	all := make(map[uint32]shaper)
	err := s.ask(unix.RTM_GETQDISC, unix.NLM_F_DUMP, tcmsg(device, 0, 0, 0), func(b []byte) {
		const head = 20
		if len(b) < head || binary.NativeEndian.Uint32(b[4:]) != device {
			return
		}
		var n shaper
		each(b[head:], func(kind uint16, v []byte) {
			switch {
			case kind == tcaOptions && len(v) >= 24:
				n.limit, n.loss = binary.NativeEndian.Uint32(v[4:]), binary.NativeEndian.Uint32(v[8:])
				each(v[24:], func(kind uint16, v []byte) {
					switch {
					case kind == tcaNetemRate && len(v) >= 4:
						n.rate = max(n.rate, uint64(binary.NativeEndian.Uint32(v)))
					case kind == tcaNetemRate64 && len(v) >= 8:
						n.rate = max(n.rate, binary.NativeEndian.Uint64(v))
					case kind == tcaNetemLatency64 && len(v) >= 8:
						n.latency = time.Duration(binary.NativeEndian.Uint64(v))
					case kind == tcaNetemJitter64 && len(v) >= 8:
						n.jitter = time.Duration(binary.NativeEndian.Uint64(v))
					}
				})
			case kind == tcaStats2:
				each(v, func(kind uint16, v []byte) {
					switch {
					case kind == tcaStatsBasic && len(v) >= 12: // sent
						n.seen += uint64(binary.NativeEndian.Uint32(v[8:]))
					case kind == tcaStatsQueue && len(v) >= 12: // waiting, and dropped
						n.seen += uint64(binary.NativeEndian.Uint32(v[0:])) + uint64(binary.NativeEndian.Uint32(v[8:]))
					}
				})
			}
		})
		all[binary.NativeEndian.Uint32(b[12:])] = n
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the traffic control of a device: %w", err)
	}
	return all, nil
}

// each passes on the attributes of a message.
func each(b []byte, pass func(kind uint16, value []byte)) {
	for len(b) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			return
		}
		const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
		pass(binary.NativeEndian.Uint16(b[2:])&^flags, b[unix.SizeofNlAttr:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}

// trySetNetem says why nothing can be shaped, by shaping what passes a device
// that nothing passes.
func (s *netlinkSocket) trySetNetem(device uint32) error {
	if err := s.addRoot(device); err != nil {
		return err
	}
	defer s.deleteRoot(device)
	if err := s.addClass(device, 0); err != nil {
		return err
	}
	if err := s.addFilter(device, 0, netip.AddrFrom4([4]byte{127, 0, 0, 1})); err != nil {
		return err
	}
	return s.setNetem(device, 0, netemOf(network.Condition{Delay: time.Millisecond}), 0)
}

// shape has directions be as they are to be from now on. A direction that is to be
// without faults is so for what is sent from now on, which follows what is under
// way.
func (s *networkSwitch) shape(shapes []shape) error {
	by := make(map[int][]shape)
	for _, w := range shapes {
		by[w.From] = append(by[w.From], w)
	}
	for from, shapes := range by {
		if err := s.enableShaping(from); err != nil {
			return fmt.Errorf("prepare for what node-%d sends: %w", from+1, err)
		}
		if err := s.shapeFrom(s.nodes[from], shapes); err != nil {
			return err
		}
	}
	return nil
}

func (s *networkSwitch) shapeFrom(from *place, shapes []shape) error {
	failed := func(w shape, err error) error {
		return fmt.Errorf("what node-%d sends to node-%d: %w", w.From+1, w.To+1, err)
	}
	for _, w := range shapes {
		if err := from.shape(w, s.nodes[w.To].addr); err != nil {
			return failed(w, err)
		}
	}
	// It has taken effect if the kernel says that it does what it was asked to,
	// and to what goes that way.
	before, err := from.routes.netems(shapedIndex)
	if err != nil {
		return err
	}
	for _, w := range shapes {
		seq := s.sendShaped(w.From, w.To)
		if w.Condition == (network.Condition{}) {
			s.nodes[w.To].awaited[seq] = w.From
		}
	}
	after, err := from.routes.netems(shapedIndex)
	if err != nil {
		return err
	}
	for _, w := range shapes {
		n := class(w.To)
		want := netemOf(w.Condition)
		switch {
		case after[n].netem != want:
			return failed(w, fmt.Errorf("the kernel does %+v instead of %+v", after[n].netem, want))
		case after[n].seen == before[n].seen:
			return failed(w, errors.New("it goes past what is to delay it, slow it down or lose it"))
		}
		if w.Condition.Loss == 0 {
			continue
		}
		// What was sent just now is not to count.
		if err := from.routes.setNetem(shapedIndex, w.To, want, w.Condition.Seed); err != nil {
			return failed(w, err)
		}
	}
	return nil
}

// enableShaping makes the device by which what is shaped leaves a node.
func (s *networkSwitch) enableShaping(node int) error {
	p := s.nodes[node]
	if p.shaping {
		return nil
	}
	if err := s.connect(eth1, node, p.addr, p.ns); err != nil {
		return err
	}
	if err := p.routes.addRoot(shapedIndex); err != nil {
		return err
	}
	if err := p.routes.up(shapedIndex, deviceSettings); err != nil {
		return err
	}
	for _, peer := range s.nodes {
		if peer == p {
			continue
		}
		if err := p.routes.addNeighbour(shapedIndex, peer.addr, eth0.mac(peer.addr)); err != nil {
			return err
		}
	}
	p.shaping = true
	return nil
}

// shape has what is sent to a node, by its address, be shaped, or shaped otherwise.
func (p *place) shape(w shape, to netip.Addr) error {
	if !p.shaped[w.To] {
		if err := p.routes.addClass(shapedIndex, w.To); err != nil && !errors.Is(err, unix.EEXIST) { // there: what follows failed before
			return err
		}
	}
	if err := p.routes.setNetem(shapedIndex, w.To, netemOf(w.Condition), w.Condition.Seed); err != nil {
		return err
	}
	if !p.shaped[w.To] {
		if err := p.routes.addFilter(shapedIndex, w.To, to); err != nil {
			return err
		}
		p.shaped[w.To] = true
	}
	return p.detour(to, packetSize(w.Condition))
}

// detour has what is sent to another node be shaped, also by connections that are
// there. Its packets have at most some bytes.
func (p *place) detour(to netip.Addr, packet uint32) error {
	b := attr(p.detourTo(to), unix.RTA_METRICS, attr(nil, unix.RTAX_MTU, u32(packet)))
	if err := p.routes.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b); err != nil {
		return fmt.Errorf("add a route to %v: %w", to, err)
	}
	return nil
}

func (p *place) endDetour(to netip.Addr) error {
	if err := p.routes.do(unix.RTM_DELROUTE, 0, p.detourTo(to)); err != nil {
		return fmt.Errorf("delete a route to %v: %w", to, err)
	}
	return nil
}

func (p *place) detourTo(to netip.Addr) []byte {
	b := []byte{unix.AF_INET, 32, 0, 0, peersTable, unix.RTPROT_STATIC, unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0}
	b = attr(b, unix.RTA_DST, ip(to))
	b = attr(b, unix.RTA_OIF, u32(shapedIndex))
	return attr(b, unix.RTA_PREFSRC, ip(p.addr))
}

// sendShaped sends a probe as a node sends, and returns its number.
func (s *networkSwitch) sendShaped(from, to int) uint32 {
	fd := s.nodes[from].probe
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, 0)
	defer unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, rootHandle)
	return s.send(from, to)
}

// under counts the directions in which something is under way that was sent
// before they were without faults.
func (s *networkSwitch) under(way []change) int {
	count := 0
	for _, c := range way {
		to := s.nodes[c.To]
		to.drain(func(uint32) {})
		left := false
		for _, from := range to.awaited {
			left = left || from == c.From
		}
		if !left {
			continue
		}
		count++
		to.awaited[s.sendShaped(c.From, c.To)] = c.From // in place of one that was dropped
	}
	return count
}

// unshape has directions be without faults. What is under way there is lost.
func (s *networkSwitch) unshape(directions []change) error {
	for _, c := range directions {
		from, to := s.nodes[c.From], s.nodes[c.To]
		if !from.shaped[c.To] {
			continue
		}
		for _, step := range []error{
			from.endDetour(to.addr), from.routes.deleteFilter(shapedIndex, c.To), from.routes.deleteClass(shapedIndex, c.To),
		} {
			if step != nil && !errors.Is(step, unix.ENOENT) && !errors.Is(step, unix.ESRCH) { // not there: it failed before
				return fmt.Errorf("no longer shape what node-%d sends to node-%d: %w", c.From+1, c.To+1, step)
			}
		}
		delete(from.shaped, c.To)
		to.forget(c.From)
	}
	return nil
}

// forget has no probe of a node be awaited any more.
func (p *place) forget(from int) {
	maps.DeleteFunc(p.awaited, func(_ uint32, f int) bool { return f == from })
}
