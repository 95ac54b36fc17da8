package manager

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/network/backend"
)

// conditions are what is wrong with the network of a lease.
type conditions struct {
	mu    sync.Mutex
	m     map[network.Pair]network.Condition
	seed  uint64 // of what is left to chance; 0 until something is
	drawn uint64 // how often something was
}

// mayFault reports whether a request is for a cluster whose network can have
// faults.
func (r *Request) mayFault() bool { return r.Faults && len(r.Requirement.Ports) > 0 }

// apart reports whether its nodes are to be started in networks of their own, so
// that those that have been started ahead of time are of no use.
func (r *Request) apart() bool {
	return r.mayFault() && backend.Apart(r.Config.Network.Faults)
}

// connect makes the network of the nodes. Where that is impossible the cluster is
// as any other, and only the faults are refused: the error is about what should
// have worked.
func (c *binaryCluster) connect() error {
	size := len(c.nodes)
	n, err := backend.New(c.request.Config.Network.Faults, backend.Nodes{
		Count: size, Ports: c.request.Requirement.Ports, PIDs: c.pids,
		HostPorts: c.request.Config.Network.HostPorts,
		Addr:      c.addrs.Addr, Behind: func(i int, port string) string { return c.addrs.Addr(size+i, port) },
	})
	if u := (*network.Unsupported)(nil); errors.As(err, &u) {
		c.unlinked = err
		return nil
	}
	if err != nil {
		return err
	}
	c.network = n
	c.Decision.Reason += "; network faults by " + n.String()
	return nil
}

// pids are the nodes' processes of now, by index; 0 for those that have ended.
func (c *binaryCluster) pids() []int {
	pids := make([]int, len(c.nodes))
	for i, n := range c.nodes {
		if p := n.process(); p != nil && engine.Alive(p) {
			pids[i] = p.PID()
		}
	}
	return pids
}

// faults implements cluster.
func (c *binaryCluster) faults() (network.Faults, error) {
	switch {
	case c.network != nil:
		return c.network, nil
	case c.unlinked != nil:
		return nil, c.unlinked
	}
	return nil, c.request.unprepared()
}

// faults implements cluster.
func (c *programCluster) faults() (network.Faults, error) {
	l, own := c.held.(interface {
		Faults() (network.Faults, error)
	})
	switch {
	case c.request.Requirement.Shared:
		return nil, errors.New("the cluster is shared: others that use it now would see that, too")
	case own && c.request.Faults && len(c.request.Config.Programs[c.info.Program].Ports) > 0:
		return l.Faults()
	}
	return nil, c.request.unprepared()
}

// unprepared is why a cluster has no links.
func (r *Request) unprepared() error {
	if r.Faults {
		return errors.New("the nodes have no ports: name those that they talk over, as ports= in the directive or by dist.Ports")
	}
	return errors.New("the cluster was not prepared for network faults: run go generate; if a call that distgen cannot see leads here (by way of an interface or a function value), name the method in the test: _ = (*dist.Cluster).Partition")
}

// change has other conditions hold, by name of what is done.
func (l *Lease) change(fault netFault, change func(m map[network.Pair]network.Condition)) error {
	begin, op := time.Now(), fault.op
	if l.Ended() {
		return fmt.Errorf("%s: %w", op, l.endedError())
	}
	f, err := l.cluster.faults()
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	m := maps.Clone(l.net.m)
	if m == nil {
		m = make(map[network.Pair]network.Condition)
	}
	change(m)
	maps.DeleteFunc(m, func(_ network.Pair, c network.Condition) bool { return c == network.Condition{} })
	err = f.Set(m)
	if u := (*network.Unsupported)(nil); !errors.As(err, &u) {
		l.net.m = m // also where something has turned out to go past it
	}
	l.recordNet(fault, m, begin, err)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// Partition has nodes reach only those of their own group; those that are in
// none are one more. Earlier cuts are replaced, other conditions stay.
func (l *Lease) Partition(groups [][]int) error {
	op := "partition " + l.groupsText(groups)
	pairs, err := network.Across(l.Size(), groups)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return l.change(netFault{what: "partition", op: op}, func(m map[network.Pair]network.Condition) {
		for p, c := range m {
			c.Cut = false
			m[p] = c
		}
		cut(m, pairs)
	})
}

func cut(m map[network.Pair]network.Condition, pairs []network.Pair) {
	for _, p := range pairs {
		c := m[p]
		c.Cut = true
		m[p] = c
	}
}

func (l *Lease) groupsText(groups [][]int) string {
	var texts []string
	for _, g := range groups {
		var names []string
		for _, i := range g {
			names = append(names, nodeName(i))
		}
		texts = append(texts, strings.Join(names, ","))
	}
	return strings.Join(texts, " | ")
}

// Isolate cuts a node off from all other nodes, and leaves other cuts as they
// are.
func (l *Lease) Isolate(node int) error {
	op := "isolate " + nodeName(node)
	pairs, err := network.Across(l.Size(), [][]int{{node}})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return l.change(netFault{what: "isolate", op: op, node: nodeName(node)}, func(m map[network.Pair]network.Condition) { cut(m, pairs) })
}

// Heal ends all faults of the network.
func (l *Lease) Heal() error {
	return l.change(netFault{what: "heal", op: "heal the network"}, func(m map[network.Pair]network.Condition) { clear(m) })
}

// A Link is one direction of what two nodes say to each other, or both.
type Link struct {
	lease *Lease
	pairs []network.Pair
}

// Link returns the link from one node to another.
func (l *Lease) Link(from, to int) *Link {
	return &Link{l, []network.Pair{{From: from, To: to}}}
}

// Both is the link in both directions.
func (k *Link) Both() *Link {
	p := k.pairs[0]
	return &Link{k.lease, []network.Pair{p, {From: p.To, To: p.From}}}
}

// String is "node-1 → node-2", or "node-1 ↔ node-2" for both directions.
func (k *Link) String() string {
	arrow := "→"
	if len(k.pairs) > 1 {
		arrow = "↔"
	}
	return nodeName(k.pairs[0].From) + " " + arrow + " " + nodeName(k.pairs[0].To)
}

func (k *Link) set(what string, set func(*network.Condition)) error {
	op := what + " " + k.String()
	if k.pairs[0].From == k.pairs[0].To {
		return fmt.Errorf("%s: a node has no link to itself", op)
	}
	f := netFault{what: what, op: op, node: nodeName(k.pairs[0].From), peer: nodeName(k.pairs[0].To)}
	if what == "slow down" {
		f.what = "bandwidth"
	}
	return k.lease.change(f, func(m map[network.Pair]network.Condition) {
		for _, p := range k.pairs {
			c := m[p]
			set(&c)
			m[p] = c
		}
	})
}

// Cut has nothing arrive.
func (k *Link) Cut() error {
	return k.set("cut", func(c *network.Condition) { c.Cut = true })
}

// Heal ends the faults of the link.
func (k *Link) Heal() error {
	return k.set("heal", func(c *network.Condition) { *c = network.Condition{} })
}

// Delay has everything arrive later.
func (k *Link) Delay(delay, jitter time.Duration) error {
	if delay < 0 || jitter < 0 {
		return fmt.Errorf("delay %v: by %v and up to %v more: a delay is not negative", k, delay, jitter)
	}
	return k.set("delay", func(c *network.Condition) { c.Delay, c.Jitter = delay, jitter })
}

// Bandwidth bounds what arrives in a second.
func (k *Link) Bandwidth(bytes int64) error {
	if bytes < 0 {
		return fmt.Errorf("slow down %v: to %d bytes a second: a bandwidth is not negative", k, bytes)
	}
	return k.set("slow down", func(c *network.Condition) { c.Bandwidth = bytes })
}

// Loss has a part of the packets lost, by chance. It returns the seed that DIST_SEED
// needs to have for the same packets to be lost again.
func (k *Link) Loss(fraction float64) (seed uint64, err error) {
	op := "lose packets of"
	if !(fraction >= 0 && fraction <= 1) {
		return 0, fmt.Errorf("%s %v: the part that is lost is from 0 to 1, not %v", op, k, fraction)
	}
	seed, draw, err := k.lease.net.seeds()
	if err != nil {
		return 0, fmt.Errorf("%s %v: %w", op, k, err)
	}
	if fraction == 0 {
		draw = 0
	}
	return seed, k.set(op, func(c *network.Condition) { c.Loss, c.Seed = fraction, draw })
}

// seeds returns the seed of the lease, and the one of its next fault that is left
// to chance, which follows from it.
func (c *conditions) seeds() (seed, next uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seed == 0 {
		if c.seed, err = network.Seed(); err != nil {
			return 0, 0, err
		}
		for c.seed == 0 {
			c.seed = rand.Uint64()
		}
	}
	c.drawn++
	return c.seed, c.seed + c.drawn, nil
}

// Reset ends the connections between the two nodes. It returns how many.
func (k *Link) Reset() (int, error) {
	op := "reset " + k.String()
	if k.lease.Ended() {
		return 0, fmt.Errorf("%s: %w", op, k.lease.endedError())
	}
	f, err := k.lease.cluster.faults()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	begin := time.Now()
	n, err := f.Reset(k.pairs)
	k.lease.net.mu.Lock()
	k.lease.recordNet(netFault{what: "reset", op: fmt.Sprintf("%s: %d connections", op, n), node: nodeName(k.pairs[0].From), peer: nodeName(k.pairs[0].To)}, k.lease.net.m, begin, err)
	k.lease.net.mu.Unlock()
	if err != nil {
		return n, fmt.Errorf("%s: %w", op, err)
	}
	return n, nil
}

// faults implements cluster.
func (c *attachedCluster) faults() (network.Faults, error) {
	return nil, errors.New("the cluster runs elsewhere: network faults are injected between nodes of the test binary only")
}
