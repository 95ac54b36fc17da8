package raft

import (
	"errors"
	"slices"
	"testing"

	"github.com/distkit/dist"
)

//go:generate go tool distgen

// A leader that is killed while clients write takes no acknowledged write with
// it, and has them all when it comes back.
//
//dist:nodes=3 ports=raft
func TestLeaderCrash(t *testing.T) {
	c := startCluster(t)
	acks, stop := c.keepWriting()

	var acknowledged []ack
	for len(acknowledged) < 20 {
		a, ok := <-acks
		if !ok {
			t.FailNow()
		}
		acknowledged = append(acknowledged, a)
	}
	dead := acknowledged[len(acknowledged)-1].by
	dead.Kill()

	// Writing goes on as soon as there is a new leader.
	for a := range acks {
		acknowledged = append(acknowledged, a)
		if a.by != dead {
			stop()
		}
	}
	for _, n := range c.others(dead) {
		c.wantAll(n, acknowledged)
	}

	c.restart(dead)
	c.wantAll(dead, acknowledged)
}

// A leader that hangs is replaced, and follows its successor when it wakes up.
//
//dist:nodes=3 ports=raft
func TestLeaderHangs(t *testing.T) {
	c := startCluster(t)
	hung := c.leader(c.Nodes()...)
	hung.Pause()

	acknowledged := c.write(10, c.others(hung)...)

	hung.Resume()
	next, err := dist.Call(c.ctx, hung, follow, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s now follows %s", hung.Name(), next)
	c.wantAll(hung, acknowledged)
}

// A leader that is cut off acknowledges nothing any more; the others go on
// without it, and it has what they have when the network is whole again.
//
//dist:nodes=3 ports=raft
func TestPartition(t *testing.T) {
	c := startCluster(t)
	before := c.write(5, c.Nodes()...)
	old := before[len(before)-1].by
	c.Isolate(old)

	index, err := dist.Call(c.ctx, old, put, entry{"refused", "by a minority"})
	if _, refused := errors.AsType[*dist.RemoteError](err); !refused {
		t.Fatalf("%s, cut off from the others, has acknowledged entry %d: %v", old.Name(), index, err)
	}
	during := c.write(10, c.others(old)...)
	for _, n := range c.others(old) {
		c.wantAll(n, slices.Concat(before, during))
	}

	c.Heal()
	after := c.write(1, c.Nodes()...)
	for _, n := range c.Nodes() {
		c.wantAll(n, slices.Concat(before, during, after))
		got, err := dist.Call(c.ctx, n, values, 0)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := got["refused"]; ok {
			t.Errorf("%s has %q, which nobody has acknowledged", n.Name(), v)
		}
	}
}

// The network falls into two halves again and again, another node in the
// minority each time: what was acknowledged in between stays.
//
//dist:nodes=3 ports=raft
func TestPartitions(t *testing.T) {
	c := startCluster(t)
	var acknowledged []ack
	for _, alone := range c.Nodes() {
		c.Partition(c.others(alone))
		acknowledged = append(acknowledged, c.write(5, c.others(alone)...)...)
		c.Heal()
		acknowledged = append(acknowledged, c.write(1, c.Nodes()...)...)
	}
	for _, n := range c.Nodes() {
		c.wantAll(n, acknowledged)
	}
}

// A node that was away for so long that nobody has the log any more which it
// needs is sent a snapshot.
//
//dist:nodes=3 ports=raft
func TestSnapshot(t *testing.T) {
	c := startCluster(t)
	before := c.write(1, c.Nodes()...)
	follower := c.others(before[0].by)[0]
	follower.Kill()

	acknowledged := c.write(30, c.others(follower)...)
	for _, n := range c.others(follower) {
		c.wantAll(n, acknowledged)
		first, err := dist.Call(c.ctx, n, compact, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		if missing := acknowledged[0].index; first <= missing {
			t.Errorf("%s still has the log from entry %d; want it to begin after %d", n.Name(), first, missing)
		}
	}

	c.restart(follower)
	c.wantAll(follower, slices.Concat(before, acknowledged))
}

// What was acknowledged is on disk: it is there after all nodes were killed at
// once.
//
//dist:nodes=3 ports=raft
func TestAllCrash(t *testing.T) {
	c := startCluster(t)
	before := c.write(10, c.Nodes()...)
	for _, n := range c.Nodes() {
		n.Kill()
	}
	for _, n := range c.Nodes() {
		c.restart(n)
	}
	after := c.write(1, c.Nodes()...) // a new leader learns by writing what its predecessors have committed
	for _, n := range c.Nodes() {
		c.wantAll(n, slices.Concat(before, after))
	}
}
