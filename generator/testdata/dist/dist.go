// Package dist is as much of the real one as the sources of tests need to
// compile: signatures with nothing behind them. It keeps the generator's tests
// quick and independent; cmd/distgen has one against the real module.
package dist

import (
	"context"
	"testing"
	"time"
)

type (
	Cluster struct{}
	Node    struct{}
	Link    struct{}
	Option  interface{ option() }
)

func Require(testing.TB, ...Option) *Cluster { return new(Cluster) }

func Nodes(int) Option             { return nil }
func Min(int) Option               { return nil }
func Program(string) Option        { return nil }
func Ports(...string) Option       { return nil }
func Reuse() Option                { return nil }
func Shared() Option               { return nil }
func Optional() Option             { return nil }
func Timeout(time.Duration) Option { return nil }

func (*Cluster) Node(int) *Node             { return new(Node) }
func (*Cluster) Partition(...[]*Node) error { return nil }
func (*Cluster) Isolate(*Node) error        { return nil }
func (*Cluster) Heal() error                { return nil }
func (*Cluster) Link(_, _ *Node) *Link      { return new(Link) }

func (*Link) Cut() error         { return nil }
func (*Link) Loss(float64) error { return nil }

func Call[In, Out any](ctx context.Context, n *Node, fn func(context.Context, In) (Out, error), in In) (Out, error) {
	return fn(ctx, in)
}

func CallAll[In, Out any](ctx context.Context, c *Cluster, fn func(context.Context, In) (Out, error), in In) ([]Out, error) {
	out, err := fn(ctx, in)
	return []Out{out}, err
}

func CallNodes[In, Out any](ctx context.Context, nodes []*Node, fn func(context.Context, In) (Out, error), in In) ([]Out, error) {
	return nil, nil
}

func RegisterErrors(errs ...error) {}

func Register[In, Out any](fn func(context.Context, In) (Out, error)) {}

func Main(m interface{ Run() int }) int { return m.Run() }
