// Package dist is what the analyzer's cases see of the real one.
package dist

import (
	"context"
	"testing"
	"time"
)

type (
	Cluster struct{ id string }
	Node    struct{ name string }
	Local   struct{ name string }
	Option  func(*options)
	options struct{}
)

func Require(t testing.TB, opts ...Option) *Cluster { return nil }

func Nodes(n int) Option             { return nil }
func Min(n int) Option               { return nil }
func Program(name string) Option     { return nil }
func Ports(names ...string) Option   { return nil }
func Reuse() Option                  { return nil }
func Shared() Option                 { return nil }
func Optional() Option               { return nil }
func Timeout(d time.Duration) Option { return nil }

func (*Cluster) Node(i int) *Node           { return nil }
func (*Cluster) Addrs(port string) []string { return nil }
func (*Cluster) Nodes() []*Node             { return nil }
func (*Cluster) Size() int                  { return 0 }
func (*Cluster) Isolate(n *Node) error      { return nil }

func (*Cluster) Partition(groups ...[]*Node) error { return nil }
func (*Cluster) Link(from, to *Node) *Link         { return nil }

type Link struct{}

func (*Link) Cut() error                              { return nil }
func (*Link) Delay(delay, jitter time.Duration) error { return nil }
func (*Link) Loss(fraction float64) error             { return nil }

func (*Node) Addr(port string) string        { return "" }
func (*Node) Kill() error                    { return nil }
func (*Node) Stop(ctx context.Context) error { return nil }
func (*Node) Running() bool                  { return false }
func (*Node) Pause() error                   { return nil }

func Call[In, Out any](ctx context.Context, n *Node, fn func(context.Context, In) (Out, error), in In) (Out, error) {
	return fn(ctx, in)
}

func CallAll[In, Out any](ctx context.Context, c *Cluster, fn func(context.Context, In) (Out, error), in In) ([]Out, error) {
	return nil, nil
}

func CallNodes[In, Out any](ctx context.Context, nodes []*Node, fn func(context.Context, In) (Out, error), in In) ([]Out, error) {
	return nil, nil
}

func RegisterErrors(errs ...error) {}

func Register[In, Out any](fn func(context.Context, In) (Out, error)) {}

func Main(m interface{ Run() int }) int { return m.Run() }

func Self(ctx context.Context) *Local { return nil }

func (*Local) Context() context.Context { return nil }
