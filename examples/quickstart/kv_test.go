package quickstart

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/distkit/dist"
)

//go:generate go tool distgen

// What runs on the nodes: each is a process of its own, with a replica of its
// own in this variable.
var replica *Replica

func start(ctx context.Context, _ struct{}) (struct{}, error) {
	self := dist.Self(ctx)
	r, err := Open(self.Dir(), self.Index(), self.Addrs("http"))
	if err != nil {
		return struct{}{}, err
	}
	ln, err := self.Listen("http")
	if err != nil {
		return struct{}{}, err
	}
	go http.Serve(ln, r) // until the node's listeners are closed, at the end of the test
	replica = r
	return struct{}{}, nil
}

func put(ctx context.Context, e Entry) (struct{}, error) {
	return struct{}{}, replica.Put(ctx, e.Key, e.Value)
}

func get(ctx context.Context, key string) (string, error) { return replica.Get(ctx, key) }

func local(ctx context.Context, key string) (string, error) { return replica.Local(key), nil }

func catchUp(ctx context.Context, _ struct{}) (struct{}, error) {
	return struct{}{}, replica.CatchUp(ctx)
}

//dist:nodes=3 ports=http
func TestWriteSurvivesCrash(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	if _, err := dist.CallAll(ctx, c, start, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(ctx, c.Node(0), put, Entry{Key: "colour", Value: "green"}); err != nil {
		t.Fatal(err)
	}

	// The node that took the write is gone. The others know it all the same.
	c.Node(0).Kill()
	for _, n := range c.Nodes()[1:] {
		if got, err := dist.Call(ctx, n, get, "colour"); got != "green" || err != nil {
			t.Errorf("%s: colour = %q, %v; want green", n.Name(), got, err)
		}
	}
	if _, err := dist.Call(ctx, c.Node(1), put, Entry{Key: "colour", Value: "blue"}); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(ctx, c.Node(2), put, Entry{Key: "shape", Value: "round"}); err != nil {
		t.Fatal(err)
	}

	// It comes back with its address and its data, and learns what it missed.
	if err := c.Node(0).Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(ctx, c.Node(0), start, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if got, err := dist.Call(ctx, c.Node(0), local, "colour"); got != "green" || err != nil {
		t.Errorf("after the restart: colour = %q, %v; want green, which it had saved", got, err)
	}
	if got, err := dist.Call(ctx, c.Node(0), get, "shape"); got != "round" || err != nil {
		t.Errorf("after the restart: shape = %q, %v; want round, which the others have", got, err)
	}
	if _, err := dist.Call(ctx, c.Node(0), catchUp, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if got, err := dist.Call(ctx, c.Node(0), local, "colour"); got != "blue" || err != nil {
		t.Errorf("after catching up: colour = %q, %v; want blue", got, err)
	}
}

//dist:nodes=3 ports=http
func TestMinorityRefusesWrites(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	if _, err := dist.CallAll(ctx, c, start, struct{}{}); err != nil {
		t.Fatal(err)
	}

	// A node that hangs holds nobody up: the other two are a majority.
	c.Node(2).Pause()
	if _, err := dist.Call(ctx, c.Node(0), put, Entry{Key: "colour", Value: "green"}); err != nil {
		t.Fatal(err)
	}
	c.Node(2).Resume()

	c.Node(1).Kill()
	c.Node(2).Kill()
	_, err := dist.Call(ctx, c.Node(0), put, Entry{Key: "colour", Value: "blue"})
	if err == nil || !strings.Contains(err.Error(), "no majority") {
		t.Errorf("put on the only node left: %v; want no majority", err)
	}
}

//dist:nodes=3 ports=http
func BenchmarkPut(b *testing.B) {
	c, ctx := dist.Require(b), b.Context()
	if _, err := dist.CallAll(ctx, c, start, struct{}{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := dist.Call(ctx, c.Node(0), put, Entry{Key: "colour", Value: "green"}); err != nil {
			b.Fatal(err)
		}
	}
}
