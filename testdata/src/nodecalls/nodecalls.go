// Package nodecalls is a helper package with node functions.
package nodecalls

import (
	"context"
	"errors"

	"clustertest"
	"github.com/distkit/dist"
)

func start(ctx context.Context, in int) (int, error) { return in, nil }

func known(ctx context.Context, in int) (int, error) { return in, nil } // want known:"registered"

func late(ctx context.Context, in int) (int, error) { return in, nil } // want late:"registered"

func generic[T any](ctx context.Context, in T) (T, error) { return in, nil }

var errKnown, errLate = errors.New("known"), errors.New("late")

func init() {
	dist.Register(known)
	dist.RegisterErrors(errKnown)
	registerMore()
}

func registerMore() { dist.Register(generic[int]) }

func Late() {
	dist.Register(late)          // want `dist.Register outside an init function: nodes must know the function before they are called`
	dist.RegisterErrors(errLate) // want `dist.RegisterErrors outside an init function: nodes must know the errors before they are called`
}

func Start(ctx context.Context, n *dist.Node, c *dist.Cluster) {
	dist.Call(ctx, n, start, 1)                    // want `start is given to dist.Call outside a test file: register it, or the tests that get here cannot call it`
	dist.CallAll(ctx, c, start, 1)                 // want `start is given to dist.CallAll outside a test file`
	dist.CallNodes(ctx, []*dist.Node{n}, start, 1) // want `start is given to dist.CallNodes outside a test file`
	dist.Call(ctx, n, known, 1)
	dist.Call(ctx, n, late, 1)
	dist.Call(ctx, n, clustertest.Registered, 1)
	dist.Call(ctx, n, clustertest.Exported, 1) // want `clustertest.Exported is given to dist.Call outside a test file`
	dist.Call(ctx, n, generic, 1)
	dist.Call(ctx, n, generic, "")            // want `generic is given to dist.Call outside a test file`
	dist.Call(ctx, n, generic[[]string], nil) // want `generic\[\[\]string\] is given to dist.Call outside a test file`
}

func Wrap[In, Out any](ctx context.Context, n *dist.Node, fn func(context.Context, In) (Out, error), in In) (Out, error) {
	return dist.Call(ctx, n, fn, in)
}

func Each[T any](ctx context.Context, n *dist.Node, in T) {
	dist.Call(ctx, n, generic[T], in) // want `instance of generic that depends on a type parameter given to dist.Call: a node can only look up package-level functions`
}
