//go:build unix

// Package ours does with dist what the other programs do with theirs. It is
// only measured: it runs where PEERS_CALLS is set.
package ours

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/bench/peers/work"
)

var begin = time.Now()

func echo(_ context.Context, b []byte) ([]byte, error) { return b, nil }


//dist:nodes=3
func TestWork(t *testing.T) {
	if os.Getenv(work.Env) == "" {
		t.Skip("only measures: run by go run . in bench/peers")
	}
	c, ctx := dist.Require(t), t.Context()
	if _, err := dist.CallAll(ctx, c, echo, nil); err != nil {
		t.Fatal(err)
	}
	started := time.Since(begin)
	err := work.Measure(started, func(b []byte) ([]byte, error) { return dist.Call(ctx, c.Node(0), echo, b) })
	if err != nil {
		t.Fatal(err)
	}
}
