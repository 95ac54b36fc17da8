package stale

import (
	"context"
	"testing"

	"github.com/distkit/dist"
)

func start(ctx context.Context, in int) (int, error) { return in, nil }

func TestIt(t *testing.T) {
	c := dist.Require(t, dist.Nodes(3))
	dist.Call(t.Context(), c.Node(0), start, 1)
}
