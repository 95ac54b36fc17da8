package dist

import (
	"fmt"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/manager"
)

// Network faults concern what nodes say to each other over the addresses that
// dist gives them (Addr), and nothing that they say to the test or the test to
// them. They end with the test's lease, return when they have taken effect, and
// like those of a [Node] they return their error and also mark the test as
// failed. See docs/network-faults.md.

// Partition parts the network: from now on, nodes reach only those of their own
// group; nodes that are in none make up one more. It replaces the cuts of
// earlier calls, whoever made them. Connections between groups stay open and
// nothing arrives on them; new ones wait.
func (c *Cluster) Partition(groups ...[]*Node) error {
	c.held.T().Helper()
	var indexes [][]int
	var texts []string
	named := 0
	for _, g := range groups {
		var group []int
		var names []string
		for _, n := range g {
			if err := c.owns(n); err != nil {
				return c.fault("partition", "", func() error { return fmt.Errorf("partition: %w", err) })
			}
			group = append(group, n.Index())
			names = append(names, n.Name())
		}
		indexes = append(indexes, group)
		named += len(group)
		texts = append(texts, strings.Join(names, ", "))
	}
	if named < c.Size() {
		texts = append(texts, "the others")
	}
	return c.fault("network", "parted: "+strings.Join(texts, " | "), func() error { return c.held.Partition(indexes) })
}

// Isolate cuts a node off from all other nodes, in both directions. What else is
// cut stays so.
func (c *Cluster) Isolate(n *Node) error {
	c.held.T().Helper()
	if err := c.owns(n); err != nil {
		return c.fault("", "", func() error { return fmt.Errorf("isolate: %w", err) })
	}
	return c.fault(n.Name(), "isolated", func() error { return c.held.Isolate(n.Index()) })
}

// Heal ends all faults of the network, and returns when what they held up flows
// again.
func (c *Cluster) Heal() error {
	c.held.T().Helper()
	return c.fault("network", "healed", c.held.Heal)
}

// Link returns the link between two nodes in one direction: what from sends to
// to, whoever opened the connection.
func (c *Cluster) Link(from, to *Node) *Link {
	for _, n := range []*Node{from, to} {
		if err := c.owns(n); err != nil {
			return &Link{c: c, err: fmt.Errorf("link: %w", err)}
		}
	}
	return &Link{c: c, link: c.held.Lease.Link(from.Index(), to.Index())}
}

// owns says why a node is not one of the cluster's; nil if it is.
func (c *Cluster) owns(n *Node) error {
	switch {
	case n == nil:
		return fmt.Errorf("the node is nil")
	case n.held != c.held:
		return fmt.Errorf("%s is a node of another cluster", n.Name())
	}
	return nil
}

// fault does what a test asked for, and notes it in the test's log.
func (c *Cluster) fault(what, become string, act func() error) error {
	c.held.T().Helper()
	begin := time.Now()
	if err := act(); err != nil {
		c.held.Fail(err)
		return err
	}
	c.held.Logf("dist: %s %s in %v", what, become, time.Since(begin).Round(10*time.Microsecond))
	return nil
}

// A Link is the link between two nodes, in one direction or both. Its methods
// return when the fault has taken effect, for connections that are there and for
// new ones.
type Link struct {
	c    *Cluster
	link *manager.Link
	err  error
}

// Both returns the link in both directions.
func (l *Link) Both() *Link {
	if l.err != nil {
		return l
	}
	return &Link{c: l.c, link: l.link.Both()}
}

// Cut has nothing arrive, until [Link.Heal] or [Cluster.Heal].
func (l *Link) Cut() error {
	l.c.held.T().Helper()
	return l.fault("cut", func() error { return l.link.Cut() })
}

// Heal ends the faults of this link.
func (l *Link) Heal() error {
	l.c.held.T().Helper()
	return l.fault("healed", func() error { return l.link.Heal() })
}

// Delay has everything arrive later: by delay, and at random by up to jitter
// more. The order is kept.
func (l *Link) Delay(delay, jitter time.Duration) error {
	l.c.held.T().Helper()
	return l.fault(fmt.Sprintf("delayed by %v to %v", delay, delay+jitter), func() error { return l.link.Delay(delay, jitter) })
}

// Bandwidth bounds how many bytes arrive in a second; 0 is no bound.
func (l *Link) Bandwidth(bytesPerSecond int64) error {
	l.c.held.T().Helper()
	return l.fault(fmt.Sprintf("bounded to %d bytes a second", bytesPerSecond), func() error { return l.link.Bandwidth(bytesPerSecond) })
}

// Loss has a part of the packets lost, by chance: 0.3 is 30 %, 0 is none. With
// the backend "links" these are datagrams. A stream loses nothing there, so that
// Loss is an error while nothing on the nodes receives datagrams at their ports.
// With "namespaces" they are those of streams as well, which are sent again.
// The test's log has the seed: with DIST_SEED set to it, the same of the packets
// that are sent after each other are lost (with "namespaces" since Linux 6.7).
func (l *Link) Loss(fraction float64) error {
	l.c.held.T().Helper()
	if l.err != nil {
		return l.fault("", nil)
	}
	begin := time.Now()
	seed, err := l.link.Loss(fraction)
	if err != nil {
		return l.fault("", func() error { return err })
	}
	took := time.Since(begin).Round(10 * time.Microsecond)
	if fraction == 0 {
		l.c.held.Logf("dist: %v loses nothing any more in %v", l.link, took)
	} else {
		l.c.held.Logf("dist: %v loses %.4g %% of the packets, by DIST_SEED=%d, in %v", l.link, 100*fraction, seed, took)
	}
	return nil
}

// Reset ends the connections between the two nodes that are there, as a router
// does that has lost its memory. New ones are not concerned.
func (l *Link) Reset() error {
	l.c.held.T().Helper()
	return l.fault("reset", func() error { _, err := l.link.Reset(); return err })
}

func (l *Link) fault(become string, act func() error) error {
	l.c.held.T().Helper()
	if l.err != nil {
		return l.c.fault("", "", func() error { return l.err })
	}
	return l.c.fault(l.link.String(), become, act)
}
