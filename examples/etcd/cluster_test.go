package etcd

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distkit/dist"
)

// A cluster is a test's, with a client that knows all of its members.
type cluster struct {
	*dist.Cluster
	t      *testing.T
	ctx    context.Context // ends before the patience of whoever runs the tests
	client *clientv3.Client
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Cluster: dist.Require(t), t: t}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	c.client = c.dial(c.Addrs("client")...)
	return c
}

// dial returns a client that knows some members.
func (c *cluster) dial(endpoints ...string) *clientv3.Client {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop(),
		BackoffWaitBetween: 20 * time.Millisecond, // members come back in less than a second here
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { client.Close() })
	return client
}

// leader returns the member that leads, as soon as a majority says so.
func (c *cluster) leader() *dist.Node {
	c.t.Helper()
	for {
		votes := make(map[uint64]int)
		members := make(map[uint64]*dist.Node)
		for _, n := range c.Nodes() {
			ctx, cancel := context.WithTimeout(c.ctx, time.Second)
			status, err := c.client.Status(ctx, n.Addr("client"))
			cancel()
			if err == nil {
				members[status.Header.MemberId] = n
				votes[status.Leader]++
			}
		}
		for id, n := range votes {
			if leader := members[id]; leader != nil && n > c.Size()/2 {
				return leader
			}
		}
		if c.ctx.Err() != nil {
			c.t.Fatalf("no leader: %v", c.ctx.Err())
		}
		// A look costs next to nothing while an election takes half a second.
		select {
		case <-time.After(10 * time.Millisecond):
		case <-c.ctx.Done():
		}
	}
}

// put writes a key, as often as it takes until it is acknowledged. It returns
// the revision that has it for sure.
func (c *cluster) put(key, value string) (revision int64) {
	c.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
		r, err := c.client.Put(ctx, key, value)
		cancel()
		if err == nil {
			return r.Header.Revision
		}
		if c.ctx.Err() != nil {
			c.t.Fatalf("put %s: %v", key, errors.Join(err, c.ctx.Err()))
		}
	}
}

// restart restarts a member and waits until it has caught up with a revision,
// by itself: its neighbours are not asked.
func (c *cluster) restart(n *dist.Node, revision int64) {
	c.t.Helper()
	n.Restart(c.ctx)
	client := c.dial(n.Addr("client"))
	for {
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		r, err := client.Get(ctx, "any", clientv3.WithSerializable())
		cancel()
		if err == nil && r.Header.Revision >= revision {
			return
		}
		if c.ctx.Err() != nil {
			c.t.Fatalf("%s has not caught up with revision %d: %v", n.Name(), revision, errors.Join(err, c.ctx.Err()))
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-c.ctx.Done():
		}
	}
}

// want fails the test unless a member has, by itself, all values of written.
func (c *cluster) want(n *dist.Node, written map[string]string) {
	c.t.Helper()
	client := c.dial(n.Addr("client"))
	for key, value := range written {
		r, err := client.Get(c.ctx, key, clientv3.WithSerializable())
		switch {
		case err != nil:
			c.t.Errorf("%s: get %s: %v", n.Name(), key, err)
		case len(r.Kvs) != 1 || string(r.Kvs[0].Value) != value:
			c.t.Errorf("%s: %s = %v; want %q, which was acknowledged", n.Name(), key, r.Kvs, value)
		}
	}
}

// others returns all nodes but one.
func (c *cluster) others(but *dist.Node) (nodes []*dist.Node) {
	for _, n := range c.Nodes() {
		if n != but {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func name(i int) string { return fmt.Sprintf("key-%d", i) }
