package faults

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/examples/quickstart"
	"github.com/distkit/dist/nemesis"
)

//go:generate go tool distgen

var replica *quickstart.Replica // the node's own

func start(ctx context.Context, _ struct{}) (struct{}, error) {
	self := dist.Self(ctx)
	r, err := quickstart.Open(self.Dir(), self.Index(), self.Addrs("http"))
	if err != nil {
		return struct{}{}, err
	}
	ln, err := self.Listen("http")
	if err != nil {
		return struct{}{}, err
	}
	go http.Serve(ln, r)
	replica = r
	return struct{}{}, nil
}

func put(ctx context.Context, e quickstart.Entry) (struct{}, error) {
	return struct{}{}, replica.Put(ctx, e.Key, e.Value)
}

func get(ctx context.Context, key string) (string, error) { return replica.Get(ctx, key) }

func started(t *testing.T, c *dist.Cluster) {
	t.Helper()
	if _, err := dist.CallAll(t.Context(), c, start, struct{}{}); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, n *dist.Node, value string) {
	t.Helper()
	if got, err := dist.Call(t.Context(), n, get, "colour"); got != value || err != nil {
		t.Errorf("%s: colour = %q, %v; want %s", n.Name(), got, err, value)
	}
}

var green, blue = quickstart.Entry{Key: "colour", Value: "green"}, quickstart.Entry{Key: "colour", Value: "blue"}

//dist:nodes=3 ports=http
func TestCrash(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	started(t, c)
	if _, err := dist.Call(ctx, c.Node(0), put, green); err != nil {
		t.Fatal(err)
	}
	c.Node(0).Kill()
	want(t, c.Node(1), "green")

	// The same name, addresses and directory; but what ran on the node has to be
	// started again.
	if err := c.Node(0).Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(ctx, c.Node(0), start, struct{}{}); err != nil {
		t.Fatal(err)
	}
	want(t, c.Node(0), "green")
}

//dist:nodes=3 ports=http
func TestHang(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	started(t, c)
	c.Node(2).Pause()
	if _, err := dist.Call(ctx, c.Node(0), put, green); err != nil {
		t.Fatal(err)
	}
	c.Node(2).Resume()
	want(t, c.Node(2), "green")
}

//dist:nodes=3 ports=http
func TestPartition(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	started(t, c)
	if _, err := dist.Call(ctx, c.Node(0), put, green); err != nil {
		t.Fatal(err)
	}

	c.Partition(c.Nodes()[:1], c.Nodes()[1:])
	alone, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := dist.Call(alone, c.Node(0), put, blue); err == nil {
		t.Error("a minority took a write")
	}
	if _, err := dist.Call(ctx, c.Node(1), put, blue); err != nil {
		t.Errorf("the majority: %v", err)
	}

	c.Heal()
	want(t, c.Node(0), "blue")
}

//dist:nodes=5 ports=http
func TestSchedule(t *testing.T) {
	c := dist.Require(t)
	started(t, c)
	var written []string
	err := nemesis.Run(t, c, nemesis.Options{
		Rounds: 4,
		// Some majority takes a write, whatever is done to a minority.
		During: func(ctx context.Context) error {
			key := fmt.Sprintf("key-%d", len(written))
			written = append(written, key)
			return anybody(ctx, c, put, quickstart.Entry{Key: key, Value: "of " + key})
		},
		Started: func(ctx context.Context, n *dist.Node) error {
			_, err := dist.Call(ctx, n, start, struct{}{})
			return err
		},
	},
		nemesis.Kill(nemesis.Minority),
		nemesis.Pause(nemesis.Any),
		nemesis.Isolate(nemesis.Any),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range written {
		if got, err := dist.Call(t.Context(), c.Node(0), get, key); got != "of "+key || err != nil {
			t.Errorf("%s = %q, %v; but it was acknowledged", key, got, err)
		}
	}
}

// anybody calls fn on one node after the other until one succeeds.
func anybody[In, Out any](ctx context.Context, c *dist.Cluster, fn func(context.Context, In) (Out, error), in In) error {
	for i := 0; ; i++ {
		try, cancel := context.WithTimeout(ctx, time.Second)
		_, err := dist.Call(try, c.Node(i%c.Size()), fn, in)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("nobody takes it: %w", err)
		}
	}
}

// race has all nodes write at the same moment.
func race(ctx context.Context, key string) (string, error) {
	self := dist.Self(ctx)
	if err := self.Barrier(ctx, "ready"); err != nil {
		return "", err
	}
	if err := replica.Put(ctx, key, self.Name()); err != nil {
		return "", err
	}
	if err := self.Barrier(ctx, "written"); err != nil {
		return "", err
	}
	return replica.Get(ctx, key)
}

//dist:nodes=3 ports=http
func TestOneWriterWins(t *testing.T) {
	c := dist.Require(t)
	started(t, c)
	winners, err := dist.CallAll(t.Context(), c, race, "winner")
	if err != nil {
		t.Fatal(err)
	}
	if winners[0] == "" || winners[1] != winners[0] || winners[2] != winners[0] {
		t.Errorf("the winners are %q; want the same everywhere", winners)
	}
}
