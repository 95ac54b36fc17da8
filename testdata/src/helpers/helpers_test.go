package helpers

import (
	"testing"
	"time"

	"clustertest"
	d "github.com/distkit/dist"
)

// Helpers that are told what to ask for, directly and through others.

func sized(t testing.TB, name string, n int) { // want sized:"requires"
	d.Require(t, d.Nodes(n), d.Program(name), d.Min(n))
}

func atLeast(t testing.TB, wait time.Duration, n int) { // want atLeast:"requires"
	with(t, d.Min(n), d.Timeout(wait))
}

func with(t testing.TB, opts ...d.Option) { // want with:"requires"
	clustertest.With(t, append([]d.Option{d.Nodes(6), d.Ports("a")}, opts...)...)
}

func one(t testing.TB, opt d.Option) { // want one:"requires"
	d.Require(t, opt, d.Nodes(2))
}

func swapped(t testing.TB, a, b int) { // want swapped:"requires"
	if a > 0 {
		swapped(t, b, a)
	}
	d.Require(t, d.Nodes(a))
}

func TestSized(t *testing.T) { sized(t, "etcd", 3) }

func TestSizedTwice(t *testing.T) {
	t.Run("", func(t *testing.T) { clustertest.Sized(t, 3) })
	t.Run("", func(t *testing.T) { clustertest.Sized(t, 2+5) })
}

func TestAtLeast(t *testing.T) { atLeast(t, time.Minute, 4) }

func TestWith(t *testing.T) { with(t, d.Nodes(5), d.Ports("b"), d.Reuse()) }

func TestWithout(t *testing.T) { with(t) }

func TestOne(t *testing.T) { one(t, d.Nodes(9)) }

func TestSwapped(t *testing.T) { swapped(t, 1, 8) }

// The bound is what counts, the helper is told less.
//
//dist:nodes=7
func TestTable(t *testing.T) {
	for _, n := range []int{1, 3, 7} {
		t.Run("", func(t *testing.T) { clustertest.Sized(t, n) })
	}
}
