package gossip

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
)

//go:generate go tool distgen

// A cluster is a test's, with a member on every node.
type cluster struct {
	*dist.Cluster
	t   *testing.T
	ctx context.Context // ends before the patience of whoever runs the tests
}

const (
	hasty   = 4  // suspects have half a second or more to say that they live
	patient = 15 // one and a half
)

// startCluster has all nodes be members of one group.
func startCluster(t *testing.T, suspicion int) *cluster {
	t.Helper()
	c := &cluster{Cluster: dist.Require(t), t: t}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	if _, err := dist.CallAll(c.ctx, c.Cluster, start, suspicion); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes()[1:] {
		if _, err := dist.Call(c.ctx, n, join, struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	c.wantMembers(c.Nodes(), c.Nodes()...)
	return c
}

// wantMembers waits until some nodes agree on who is there.
func (c *cluster) wantMembers(on []*dist.Node, who ...*dist.Node) {
	c.t.Helper()
	var names []string
	for _, n := range who {
		names = append(names, n.Name())
	}
	var wg sync.WaitGroup
	for _, n := range on {
		wg.Go(func() {
			if _, err := dist.Call(c.ctx, n, members, names); err != nil {
				c.t.Errorf("%s: %v", n.Name(), err)
			}
		})
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// talk has every node say something so many times, and all others hear it.
func (c *cluster) talk(times int) {
	c.t.Helper()
	for i := range times {
		text := fmt.Sprint("word ", i)
		if _, err := dist.CallAll(c.ctx, c.Cluster, say, text); err != nil {
			c.t.Fatal(err)
		}
		for _, from := range c.Nodes() {
			if _, err := dist.CallAll(c.ctx, c.Cluster, hear, saying{from.Name(), text}); err != nil {
				c.t.Fatalf("what %s says: %v", from.Name(), err)
			}
		}
	}
}

// wantNobodyLost fails if any node was declared dead at any time.
func (c *cluster) wantNobodyLost() {
	c.t.Helper()
	for _, n := range c.Nodes() {
		if names, err := dist.Call(c.ctx, n, lost, struct{}{}); err != nil || len(names) > 0 {
			c.t.Errorf("%s has lost %q, of which all live: %v", n.Name(), names, err)
		}
	}
}

// Five members find each other by way of one, and what any of them says reaches
// all.
//
//dist:nodes=5 ports=gossip
func TestConverges(t *testing.T) {
	c := startCluster(t, patient)
	c.talk(3)
	c.wantNobodyLost()
}

// Each side of a partition declares the other dead, and they are one group again
// when the network is whole, with nobody's help.
//
//dist:nodes=5 ports=gossip
func TestPartition(t *testing.T) {
	c := startCluster(t, hasty)
	few, many := c.Nodes()[:2], c.Nodes()[2:]
	c.Partition(few, many)
	c.wantMembers(few, few...)
	c.wantMembers(many, many...)
	c.Heal()
	c.wantMembers(c.Nodes(), c.Nodes()...)
	c.talk(1)
}

// A member that is killed is found out by all, and is one again after it has been
// restarted.
//
//dist:nodes=5 ports=gossip
func TestKill(t *testing.T) {
	c := startCluster(t, hasty)
	dead, others := c.Node(4), c.Nodes()[:4]
	dead.Kill()
	c.wantMembers(others, others...)
	if err := dead.Restart(c.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(c.ctx, dead, start, hasty); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(c.ctx, dead, join, struct{}{}); err != nil {
		t.Fatal(err)
	}
	c.wantMembers(c.Nodes(), c.Nodes()...)
}

// A third of all datagrams is lost: what is said arrives all the same, and nobody
// is taken for dead.
//
//dist:nodes=5 ports=gossip
func TestLoss(t *testing.T) {
	c := startCluster(t, patient)
	for i, a := range c.Nodes() {
		for _, b := range c.Nodes()[:i] {
			c.Link(a, b).Both().Loss(0.3)
		}
	}
	c.talk(20) // for longer than suspects have
	c.wantNobodyLost()
}

// Two members reach each other only long after they have given up waiting for an
// answer: others ask on their behalf.
//
//dist:nodes=5 ports=gossip
func TestSlowLink(t *testing.T) {
	c := startCluster(t, patient)
	c.Link(c.Node(0), c.Node(1)).Both().Delay(4*probe, probe)
	c.talk(20) // for longer than suspects have
	c.wantNobodyLost()
}
