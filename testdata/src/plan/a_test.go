package plan

import (
	"context"
	"strconv"
	"testing"
	"time"

	"clustertest"
	d "github.com/distkit/dist"
	"github.com/distkit/dist/nemesis"
)

const size = 2 + 2

//dist:nodes=3 ports=raft // enough to lose one
func TestDirective(t *testing.T) {
	d.Require(t)
}

func TestOptions(t *testing.T) {
	d.Require(t, d.Nodes(size), (d.Min(2)), d.Program("etcd"), d.Ports("client", "peer"), d.Timeout(30*time.Second), d.Shared(), d.Optional(), d.Reuse())
}

func TestNothing(t *testing.T) {}

func TestBare(t *testing.T) {
	t.Run("sub", func(t *testing.T) { d.Require(t) })
}

func TestHelper(t *testing.T) { outer(t) }

func outer(t testing.TB) { // want outer:"requires"
	newCluster(t)
}

func newCluster(t testing.TB) *d.Cluster { // want newCluster:"requires"
	return d.Require(t, d.Nodes(3), d.Ports("raft"))
}

type suite struct{ t *testing.T }

func (s *suite) cluster() { // want cluster:"requires"
	newCluster(s.t)
}

func TestMethod(t *testing.T) {
	s := &suite{t}
	s.cluster()
}

func TestTwo(t *testing.T) {
	t.Run("a", func(t *testing.T) { d.Require(t, d.Nodes(2), d.Ports("a"), d.Reuse()) })
	t.Run("b", func(t *testing.T) { d.Require(t, d.Nodes(6), d.Ports("b"), d.Reuse()) })
}

func TestOtherPackage(t *testing.T) { clustertest.New(t) }

func TestOtherMethod(t *testing.T) { (&clustertest.Suite{T: t}).Cluster() }

func TestNamed(t *testing.T) {
	t.Run("restart", restart)
}

func restart(t *testing.T) { // want restart:"requires"
	d.Require(t, d.Nodes(7))
}

func TestRecursive(t *testing.T) { even(t, 4) }

func even(t *testing.T, n int) { // want even:"requires"
	if n > 0 {
		odd(t, n-1)
	}
}

func odd(t *testing.T, n int) { // want odd:"requires"
	even(t, n-1)
	d.Require(t, d.Nodes(8))
}

//dist:nodes=9
func TestBound(t *testing.T) {
	n, _ := strconv.Atoi("3")
	d.Require(t, d.Nodes(n))
}

func BenchmarkIt(b *testing.B) { d.Require(b, d.Nodes(1)) }

func FuzzIt(f *testing.F) { d.Require(f, d.Nodes(1)) }

func start(ctx context.Context, in int) (string, error) { return "", nil }

func registeredHere(ctx context.Context, in int) (string, error) { return "", nil } // want registeredHere:"registered"

func echo[T any](ctx context.Context, in T) (T, error) { return in, nil }

type local struct{ N int }

func init() { d.Register(registeredHere) }

var table = []func(context.Context, int) (string, error){start, registeredHere, Exported}

func TestFunctions(t *testing.T) {
	ctx := context.Background()
	c := d.Require(t)
	n := c.Node(0)
	d.Call(ctx, n, echo[int], 1)
	d.Call(ctx, n, echo, "a")
	d.Call[local, local](ctx, n, echo, local{})
	d.Call(ctx, n, clustertest.Exported, 1)
	d.Call(ctx, n, clustertest.Registered, 1)
	d.CallAll(ctx, c, onLinux, 1)
}

//dist:nodes=3
func TestParts(t *testing.T) {
	c := d.Require(t)
	if size > 3 {
		isolate(c)
	}
}

func isolate(c *d.Cluster) { // want isolate:"isolates a node" isolate:"network faults"
	c.Isolate(c.Node(0))
}

//dist:nodes=2
func TestPartsElsewhere(t *testing.T) { clustertest.Slow(d.Require(t), true) }

// Naming the method is enough where it is called by way of an interface.
//
//dist:nodes=2
func TestPartsByName(t *testing.T) { _ = d.Require(t).Partition }

//dist:nodes=5
func TestPartsBySchedule(t *testing.T) { nemesis.Run(t, d.Require(t), nemesis.Kill(), nemesis.Ring()) }

//dist:nodes=5
func TestLosesBySchedule(t *testing.T) { nemesis.Run(t, d.Require(t), nemesis.Lossy(0.5)) }

//dist:nodes=5
func TestSchedule(t *testing.T) { nemesis.Run(t, d.Require(t), nemesis.Kill()) }
