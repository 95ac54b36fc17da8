// Package failures holds tests that have clusters, in a test binary whose
// nodes go wrong as the variable FAILURE says. Without it all of them pass.
package failures

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/distkit/dist"
)

func pid(context.Context, struct{}) (int, error) { return os.Getpid(), nil }

//dist:nodes=2
func TestTwo(t *testing.T) { two(t) }

// TestThem has a cluster and then another: what has come over the binary or the
// machine meanwhile concerns the second.
//
//dist:nodes=2
func TestThem(t *testing.T) {
	two(t)
	meanwhile()
	t.Run("restarted", func(t *testing.T) {
		n := dist.Require(t).Node(0)
		n.Restart(t.Context())
	})
}

func two(t *testing.T) {
	c := dist.Require(t)
	pids, err := dist.CallAll(t.Context(), c, pid, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range c.Nodes() {
		if n.PID() != pids[i] {
			t.Errorf("%s is process %d, and says %d", n.Name(), n.PID(), pids[i])
		}
	}
}

// TestFew means something with one node.
//
//dist:nodes=2 min=1
func TestFew(t *testing.T) { t.Logf("%d nodes", dist.Require(t).Size()) }

var shared int

func race(context.Context, struct{}) (struct{}, error) {
	done := make(chan bool)
	go func() { shared++; close(done) }()
	if os.Getenv("FAILURE") != "race" {
		<-done
	}
	shared++
	if os.Getenv("FAILURE") == "race" {
		<-done
	}
	return struct{}{}, nil
}

//dist:nodes=1
func TestRace(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), race, struct{}{}); err != nil {
		t.Fatal(err)
	}
}

func listen(ctx context.Context, addr string) (struct{}, error) {
	ln := inUse(addr)
	dist.Self(ctx).Cleanup(func() { ln.Close() })
	return struct{}{}, nil
}

// TestListens is how a test has one address on one node, which an init has on
// all of them.
//
//dist:nodes=2
func TestListens(t *testing.T) {
	c := dist.Require(t)
	if os.Getenv("FAILURE") == "" {
		if _, err := dist.Call(t.Context(), c.Node(0), listen, os.Getenv("FAILURE_ADDR")); err != nil {
			t.Fatal(err)
		}
	}
}

//dist:nodes=1 program=server
func TestServer(t *testing.T) { dist.Require(t) }

//dist:nodes=1 program=server
func TestServerAgain(t *testing.T) {
	c := dist.Require(t)
	meanwhile()
	c.Node(0).Restart(t.Context())
}

//dist:nodes=1 program=other
func TestOther(t *testing.T) { dist.Require(t) }

// TestHang holds its nodes until somebody kills it, or FAILURE_UNTIL is there.
//
//dist:nodes=2
func TestHang(t *testing.T) { hang(t) }

//dist:nodes=1 program=server
func TestServerHang(t *testing.T) { hang(t) }

func hang(t *testing.T) {
	dist.Require(t)
	if err := os.WriteFile(os.Getenv("FAILURE_READY"), nil, 0o600); err != nil {
		t.Skip("it is for others to run")
	}
	for {
		if _, err := os.Stat(os.Getenv("FAILURE_UNTIL")); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
