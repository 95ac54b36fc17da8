// Package clustertest is a helper package that tests of others use.
package clustertest

import (
	"context"
	"testing"

	"github.com/distkit/dist"
)

func New(t testing.TB) *dist.Cluster { // want New:`requires\(dist.Require\(t, dist.Nodes\(5\)\)\)`
	return dist.Require(t, dist.Nodes(5))
}

type Suite struct{ T testing.TB }

func (s *Suite) Cluster() *dist.Cluster { return New(s.T) } // want Cluster:`requires\(New: dist.Require\(t, dist.Nodes\(5\)\)\)`

func Registered(ctx context.Context, in int) (int, error) { return in, nil } // want Registered:"registered"

func Exported(ctx context.Context, in int) (int, error) { return in, nil }

func init() { dist.Register(Registered) }

// Sized is a helper that is told the size.
func Sized(t testing.TB, n int) *dist.Cluster { // want Sized:"requires"
	return dist.Require(t, dist.Nodes(n), dist.Ports("raft"))
}

// With is a helper that takes options.
func With(t testing.TB, opts ...dist.Option) *dist.Cluster { // want With:"requires"
	return dist.Require(t, opts...)
}

// Run is what testing suites have: what it does with suite is its affair.
func Run(t *testing.T, suite any) {}

// Crash is a helper that disturbs the cluster it is given.
func Crash(c *dist.Cluster) error { return crash(c) } // want Crash:"kills a node"

func crash(c *dist.Cluster) error { return c.Node(0).Kill() } // want crash:"kills a node"

// Break is one whose method does.
type Breaker struct{ C *dist.Cluster }

func (b *Breaker) Break() error { return b.C.Isolate(b.C.Node(0)) } // want Break:"isolates a node" Break:"network faults"

// Slow disturbs a cluster if it is told to, which no fact about disturbing says.
func Slow(c *dist.Cluster, slow bool) { // want Slow:"network faults"
	if slow {
		c.Link(c.Node(0), c.Node(1)).Delay(1e9, 0)
	}
}

// Lose does so for certain.
func Lose(c *dist.Cluster) error { return c.Link(c.Node(0), c.Node(1)).Loss(0.5) } // want Lose:"loses packets" Lose:"network faults"

// Ask disturbs nobody.
func Ask(c *dist.Cluster) bool { return c.Node(0).Running() }

// Chaos disturbs a cluster if it is told to.
func Chaos(c *dist.Cluster, on bool) {
	if on {
		Crash(c)
		c.Node(1).Pause()
	}
	switch later := func() { crash(c) }; {
	case on:
		later()
	}
}

// Storm does so for certain.
func Storm(t *testing.T, c *dist.Cluster) { // want Storm:"kills a node"
	t.Cleanup(func() {
		for i := range c.Nodes() {
			if err := c.Node(i).Kill(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Each and RunAll run what is registered, or given.
func Each(f func(name string, run func(t *testing.T))) {
	for name, run := range registered {
		f(name, run)
	}
}

func RunAll(t *testing.T, all map[string]func(t *testing.T)) {
	for name, run := range all {
		t.Run(name, run)
	}
}

var registered map[string]func(t *testing.T)

// Scenario makes a test.
func Scenario(n int) func(t *testing.T) { // want Scenario:"requires"
	return func(t *testing.T) { Sized(t, n) }
}

// Register registers one.
func Register() { // want Register:"requires"
	registered["scenario"] = func(t *testing.T) { New(t) }
}
