package etcd

import (
	"context"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

//go:generate go tool distgen

// What was acknowledged survives the kill of the leader, and the dead member
// has all of it when it comes back.
//
//dist:nodes=3 program=etcd ports=client
func TestLeaderCrash(t *testing.T) {
	c := startCluster(t)
	written := make(map[string]string)
	write := func(from, to int) (revision int64) {
		for i := from; i < to; i++ {
			written[name(i)] = name(i) + " by way of whoever leads"
			revision = c.put(name(i), written[name(i)])
		}
		return revision
	}

	write(0, 10)
	dead := c.leader()
	dead.Kill()
	last := write(10, 20)
	if now := c.leader(); now == dead {
		t.Errorf("%s leads, and is dead", now.Name())
	}

	c.restart(dead, last)
	for _, n := range c.Nodes() {
		c.want(n, written)
	}
}

// A leader that is cut off from the others acknowledges nothing, a successor
// does, and when the network is whole again all have the same.
//
//dist:nodes=3 program=etcd ports=client
func TestPartition(t *testing.T) {
	c := startCluster(t)
	written := map[string]string{"before": "by all"}
	c.put("before", "by all")
	old := c.leader()
	var endpoints []string
	for _, n := range c.others(old) {
		endpoints = append(endpoints, n.Addr("client"))
	}
	minority, majority := c.dial(old.Addr("client")), c.dial(endpoints...)
	c.Isolate(old)

	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	r, err := minority.Put(ctx, "refused", "by a minority")
	cancel()
	if err == nil {
		t.Fatalf("%s, cut off from the others, has acknowledged revision %d", old.Name(), r.Header.Revision)
	}
	c.client = majority
	c.put("during", "by two")
	written["during"] = "by two"

	c.Heal()
	c.client = minority
	c.put("after", "by way of the one that was away")
	written["after"] = "by way of the one that was away"
	for _, n := range c.others(old) {
		// All that was acknowledged, as of now: a read that takes a majority.
		if _, err := c.dial(n.Addr("client")).Get(c.ctx, "after"); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes() {
		c.want(n, written)
	}
	got, err := minority.Get(c.ctx, "refused")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Kvs) != 0 {
		t.Errorf("refused = %v, which nobody has acknowledged", got.Kvs)
	}
}

// Data are on disk: they are there after all members were killed at once.
//
//dist:nodes=3 program=etcd ports=client
func TestAllCrash(t *testing.T) {
	c := startCluster(t)
	revision := c.put("colour", "green")
	for _, n := range c.Nodes() {
		n.Kill()
	}
	var restarts sync.WaitGroup // a member alone is not ready: it takes two to have a leader
	for _, n := range c.Nodes() {
		restarts.Go(func() { n.Restart(c.ctx) })
	}
	restarts.Wait()
	r, err := c.client.Get(c.ctx, "colour")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "green" || r.Kvs[0].ModRevision < revision { // the client may have asked twice
		t.Errorf("colour = %v; want green as of revision %d", r.Kvs, revision)
	}
}

// A test that has its cluster to itself begins with an empty store, whatever
// the tests before it have written.
//
//dist:nodes=3 program=etcd ports=client
func TestFresh(t *testing.T) {
	c := startCluster(t)
	r, err := c.client.Get(c.ctx, "", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	if r.Count != 0 {
		t.Errorf("%d keys in a store that nobody has written to", r.Count)
	}
}
