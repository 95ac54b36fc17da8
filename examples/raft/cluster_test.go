package raft

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// A cluster is a test's, with a server on every node.
type cluster struct {
	*dist.Cluster
	t   *testing.T
	ctx context.Context // ends before the patience of whoever runs the tests

	written int // by write: every entry has a key of its own
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Cluster: dist.Require(t), t: t}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	if _, err := dist.CallAll(c.ctx, c.Cluster, start, struct{}{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// leader returns the one of some nodes that leads, as soon as one does.
func (c *cluster) leader(nodes ...*dist.Node) *dist.Node {
	c.t.Helper()
	n, err := leader(c.ctx, nodes)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
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

// leader asks all the nodes to lead, and returns the first that does.
func leader(ctx context.Context, nodes []*dist.Node) (*dist.Node, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // the others need not wait any longer
	type answer struct {
		node *dist.Node
		err  error
	}
	answers := make(chan answer, len(nodes))
	for _, n := range nodes {
		wg.Go(func() {
			_, err := dist.Call(ctx, n, lead, struct{}{})
			answers <- answer{n, err}
		})
	}
	var errs []error
	for range nodes {
		a := <-answers
		if a.err == nil {
			return a.node, nil
		}
		errs = append(errs, a.err)
	}
	return nil, fmt.Errorf("no leader: %w", errors.Join(errs...))
}

// An ack is a write that a leader has acknowledged.
type ack struct {
	entry
	index uint64
	by    *dist.Node
}

// A writer is a client of the cluster.
type writer struct {
	nodes  []*dist.Node
	leader *dist.Node // the last that acknowledged; nil: not known
}

// write has an entry written by whoever leads. An attempt that fails is
// repeated, since nobody has acknowledged it.
func (w *writer) write(ctx context.Context, e entry) (ack, error) {
	for {
		if w.leader == nil {
			n, err := leader(ctx, w.nodes)
			if err != nil {
				return ack{}, err
			}
			w.leader = n
		}
		index, err := dist.Call(ctx, w.leader, put, e)
		if err == nil {
			return ack{e, index, w.leader}, nil
		}
		_, refused := errors.AsType[*dist.RemoteError](err)
		_, lost := errors.AsType[*dist.LostError](err)
		if ctx.Err() != nil || !refused && !lost {
			return ack{}, err
		}
		w.leader = nil
	}
}

// write writes n entries by way of some nodes.
func (c *cluster) write(n int, nodes ...*dist.Node) (acks []ack) {
	c.t.Helper()
	w := &writer{nodes: nodes}
	for range n {
		a, err := w.write(c.ctx, entry{fmt.Sprintf("written-%d", c.written), fmt.Sprint(c.written)})
		if err != nil {
			c.t.Fatal(err)
		}
		c.written++
		acks = append(acks, a)
	}
	return acks
}

// keepWriting writes one entry after the other, and sends each when it has been
// acknowledged, until it is told to stop. Then it closes the channel.
func (c *cluster) keepWriting() (acks <-chan ack, stop func()) {
	ctx, stop := context.WithCancel(c.ctx)
	ch := make(chan ack, 1)
	c.t.Cleanup(func() {
		stop()
		for range ch {
		}
	})
	go func() {
		defer close(ch)
		w := &writer{nodes: c.Nodes()}
		for i := 0; ctx.Err() == nil; i++ {
			a, err := w.write(ctx, entry{fmt.Sprintf("kept-%d", i), fmt.Sprint(i)})
			if err == nil {
				ch <- a
			} else if ctx.Err() == nil {
				c.t.Error(err)
				return
			}
		}
	}()
	return ch, stop
}

// wantAll fails the test unless a node has, or comes to have, all that was
// acknowledged.
func (c *cluster) wantAll(n *dist.Node, acks []ack) {
	c.t.Helper()
	last := acks[len(acks)-1].index
	got, err := dist.Call(c.ctx, n, values, last)
	if err != nil {
		c.t.Fatalf("waiting for entry %d: %v", last, err)
	}
	for _, a := range acks {
		if v, ok := got[a.Key]; v != a.Value {
			c.t.Errorf("%s: %s = %q, %t; want %q, which %s has acknowledged as entry %d", n.Name(), a.Key, v, ok, a.Value, a.by.Name(), a.index)
		}
	}
}

// restart restarts a node and its server.
func (c *cluster) restart(n *dist.Node) {
	c.t.Helper()
	if err := n.Restart(c.ctx); err != nil {
		c.t.Fatal(err)
	}
	if _, err := dist.Call(c.ctx, n, start, struct{}{}); err != nil {
		c.t.Fatal(err)
	}
}
