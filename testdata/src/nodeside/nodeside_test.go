package nodeside

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// Variables.

var (
	peers   []string
	config  struct{ Name string }
	count   atomic.Int64
	leader  string
	server  *int
	both    int
	flagged int
	wrapped int
	later   int
	local   int
)

func start(ctx context.Context, in int) (int, error) {
	leader = "node-1"
	server = new(int)
	both++
	return len(peers) + flagged + wrapped + later + wait() + name(ctx), nil
}

func name(context.Context) int { return len(config.Name) + int(count.Load()) }

func use(ctx context.Context, in int) (int, error) { return *server + both, nil }

func alsoHere(ctx context.Context, in int) (int, error) {
	local++
	return local, nil
}

func init() { flagged = 1 }

func TestVariables(t *testing.T) {
	n := dist.Require(t).Node(0)
	peers = []string{"a"} // want `start runs on nodes and does not see the peers that this process sets: would be right as a part of its argument`
	config.Name = "x"     // want `start runs on nodes and does not see the config that this process sets`
	count.Store(1)        // want `start runs on nodes and does not see the count that this process sets`
	flagged = 2           // init sets it, too
	patience = 1          // a setting of the program
	both = 1
	setLater()
	dist.Call(t.Context(), n, start, 1)
	dist.Call(t.Context(), n, use, 1)
	later = 3
	if leader != "node-1" { // want `leader is set by start, on nodes, and never in this process: would be right as a part of its result`
		t.Error(both)
	}
	call(n, set)

	alsoHere(t.Context(), 1)
	dist.Call(t.Context(), n, alsoHere, 1)
	t.Log(local)
}

func setLater() {}

func TestByHelper(t *testing.T) {
	n := dist.Require(t).Node(0)
	configure() // want `start runs on nodes and does not see the peers that this process sets`
	dist.Call(t.Context(), n, start, 1)
}

func configure() { peers = nil }

func set(ctx context.Context, in int) (int, error) {
	wrapped = in
	return 0, nil
}

func call(n *dist.Node, fn func(context.Context, int) (int, error)) {
	dist.Call(context.Background(), n, fn, 1)
}

// Tests on nodes.

var tt *testing.T

func logs(ctx context.Context, in int) (int, error) {
	tt.Log("here") // want `logs runs on nodes, where there is no test in tt: would be right to return an error`
	logMore()      // want `logs runs on nodes, where there is no test in tt \(by way of logMore\)`
	return 0, nil
}

func logMore() { tt.Log("there") }

func requires(ctx context.Context, in int) (int, error) { // want requires:"requires"
	dist.Require(nil) // want `dist.Require in requires, which runs on nodes: a cluster belongs to a test`
	return 0, nil
}

func takes(ctx context.Context, t *testing.T) (int, error) { return 0, nil }

func TestTests(t *testing.T) {
	n := dist.Require(t).Node(0)
	tt = t // want `logs runs on nodes and does not see the tt that this process sets`
	dist.Call(t.Context(), n, logs, 1)
	dist.Call(t.Context(), n, requires, 1)
	dist.Call(t.Context(), n, takes, t) // want `argument of type \*testing.T cannot cross to another process: it is a test, which is in its own process only: a node's function returns an error`
}

// Exits.

func exits(ctx context.Context, in int) (int, error) {
	err := errors.New("no")
	if err != nil {
		os.Exit(1) // want `os.Exit ends the node that exits runs on: would be right to return the error, which dist.Call returns to the test`
	}
	if in == 3 {
		os.Exit(3)
	}
	check(err)
	log.Fatalf("no: %v", err) // want `log.Fatalf ends the node that exits runs on: would be right to return the error`
	return 0, nil
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1) // want `os.Exit ends the node that exits runs on \(by way of check\)`
	}
}

func crash(ctx context.Context, in int) (int, error) {
	os.Exit(3)
	return 0, nil
}

func fatalElsewhere() { log.Fatal("not on a node") }

func TestExits(t *testing.T) {
	n := dist.Require(t).Node(0)
	dist.Call(t.Context(), n, exits, 1)
	dist.Call(t.Context(), n, crash, 1)
}

// Contexts.

func blocks(ctx context.Context, in int) (int, error) {
	go func() { select {} }()
	select {} // want `blocks runs on nodes and never returns: would be right to wait for the end of its context, <-ctx.Done\(\)`
}

func loops(ctx context.Context, in int) (int, error) {
	for { // want `loops runs on nodes and nothing in this loop ends it: would be right to return when its context is done`
		time.Sleep(time.Second)
		for range 3 {
			break
		}
	}
}

func polls(ctx context.Context, in int) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

func panics(ctx context.Context, in int) (int, error) {
	for {
		panic("so")
	}
}

func ignores(ctx context.Context, in int) (int, error) {
	return 0, sleep(context.Background()) // want `ignores runs on nodes, ignores its context and passes context.Background\(\) on: would be right with its own, which ends with the call, or that of dist.Self, which ends with the lease`
}

func unnamed(context.Context, int) (int, error) {
	return 0, sleep(context.TODO()) // want `unnamed runs on nodes, ignores its context and passes context.TODO\(\) on`
}

func outlives(ctx context.Context, in int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return 0, sleep(context.Background())
}

func cleansUp(ctx context.Context, in int) (int, error) {
	defer sleep(context.Background())
	return 0, nil
}

func self(ctx context.Context, in int) (int, error) {
	dist.Self(context.Background()) // want `dist.Self panics for context.Background\(\): would be right with the context that the node's function is given`
	dist.Self(ctx)
	return 0, nil
}

func sleep(ctx context.Context) error { return ctx.Err() }

func TestContexts(t *testing.T) {
	n := dist.Require(t).Node(0)
	for _, fn := range []func(context.Context, int) (int, error){} {
		dist.Call(t.Context(), n, fn, 1)
	}
	dist.Call(t.Context(), n, blocks, 1)
	dist.Call(t.Context(), n, loops, 1)
	dist.Call(t.Context(), n, polls, 1)
	dist.Call(t.Context(), n, panics, 1)
	dist.Call(t.Context(), n, ignores, 1)
	dist.Call(t.Context(), n, unnamed, 1)
	dist.Call(t.Context(), n, outlives, 1)
	dist.Call(t.Context(), n, cleansUp, 1)
	dist.Call(t.Context(), n, self, 1)
	sleep(context.Background())
}
