package nodecalls

import (
	"context"
	"testing"

	"github.com/distkit/dist"
)

type server struct{}

func (server) start(ctx context.Context, in int) (int, error) { return in, nil }

var literal = func(ctx context.Context, in int) (int, error) { return in, nil }

var chosen = func(ctx context.Context, in int) (int, error) { return in, nil }

func init() { chosen = start }

func factory() func(ctx context.Context, in int) (int, error) { return start }

func TestCalls(t *testing.T) {
	ctx := t.Context()
	c := dist.Require(t, dist.Nodes(3))
	n := c.Node(0)
	dist.Call(ctx, n, start, 1)
	dist.Call(ctx, n, (start), 1)
	dist.Call(ctx, n, generic[string], "")
	dist.Call(ctx, n, func(ctx context.Context, in int) (int, error) { return in, nil }, 1) // want `function literal given to dist.Call: a node can only look up package-level functions`
	dist.CallAll(ctx, c, server{}.start, 1)                                                 // want `method value given to dist.CallAll: a node can only look up package-level functions`
	dist.Call(ctx, n, literal, 1)                                                           // want `function literal literal given to dist.Call`
	dist.Call(ctx, n, chosen, 1)
	dist.Call(ctx, n, factory(), 1)
	local := func(ctx context.Context, in int) (int, error) { return in, nil }
	dist.Call(ctx, n, local, 1) // want `function literal local given to dist.Call`

	type pair struct{ A, B int }
	dist.Call(ctx, n, generic[pair], pair{}) // want `instance of generic for a type declared inside a function given to dist.Call`

	for _, fn := range []func(context.Context, int) (int, error){start, known} {
		dist.Call(ctx, n, fn, 1)
	}
}
