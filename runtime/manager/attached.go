package manager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/program"
)

// An attachedCluster runs already, wherever its addresses lead. It is taken as
// it is, and nothing is done to it.
type attachedCluster struct {
	*Lease
	m      *Manager
	attach *config.Attach
	view   config.View
}

// attach is an attempt at a lease of a cluster that runs already.
func (m *Manager) attach(ctx context.Context, r Request, d Decision, size int, timeout time.Duration) (_ *Lease, failed int, err error) {
	a := r.Config.Attach[r.Requirement.Program]
	l := &Lease{ID: a.Name, request: r, Decision: d}
	c := &attachedCluster{Lease: l, m: m, attach: a, view: config.View{Cluster: a.Name}}
	l.cluster = c
	for i, addrs := range a.Nodes[:size] {
		c.view.Nodes = append(c.view.Nodes, config.NodeView{Name: nodeName(i), Addr: addrs})
		l.Nodes = append(l.Nodes, &attachedNode{c: c, index: i})
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for i, err := range c.health(ctx) {
		if err != nil {
			var addrs []string
			for _, port := range slices.Sorted(maps.Keys(a.Nodes[i])) {
				addrs = append(addrs, port+" = "+a.Nodes[i][port])
			}
			f := diagnostics.Failure{
				Phase: diagnostics.PhasePrepare, Code: diagnostics.ClusterUnreachable, Op: "lease the attached cluster " + a.Name,
				Node: nodeName(i), Name: a.Name, Err: err, Details: []string{nodeName(i) + ": " + strings.Join(addrs, ", ")},
			}
			if e, ok := errors.AsType[*engine.Error](err); ok { // what was asked, and what was answered
				f.Code, f.Err, f.Details = e.Code, e.Err, append(f.Details, e.Details...)
			}
			return nil, size, &engine.Error{Failure: f}
		}
	}
	return l, 0, nil
}

// release implements cluster.
func (c *attachedCluster) release(context.Context, bool, func(bool) bool) Report { return Report{} }

// health implements cluster.
func (c *attachedCluster) health(ctx context.Context) []error {
	return untilHealthy(ctx, len(c.Nodes), func(ctx context.Context) ([]error, error) {
		errs := make([]error, len(c.Nodes))
		var wg sync.WaitGroup
		for i := range c.Nodes {
			wg.Go(func() {
				v := c.view
				v.Index = i
				errs[i] = program.Attached(ctx, c.m.engine, c.attach, v)
			})
		}
		wg.Wait()
		return errs, nil
	})
}

// An attachedNode is a node of an attachedCluster.
type attachedNode struct {
	c     *attachedCluster
	index int
}

// Name implements Node.
func (n *attachedNode) Name() string { return nodeName(n.index) }

// Index implements Node.
func (n *attachedNode) Index() int { return n.index }

// Addr implements Node.
func (n *attachedNode) Addr(port string) string { return n.c.view.Nodes[n.index].Addr[port] }

// Dir implements Node.
func (n *attachedNode) Dir() (string, error) { return "", nil }

// Log implements Node.
func (n *attachedNode) Log() string { return "" }

// PID implements Node.
func (n *attachedNode) PID() int { return 0 }

// Running implements Node. That it does was the condition of the lease.
func (n *attachedNode) Running() bool { return true }

// Used implements Node.
func (n *attachedNode) Used() bool { return true }

// Call implements Node.
func (n *attachedNode) Call(_ context.Context, op, _ string, _ []byte) ([]byte, error) {
	return nil, noFunctions(n.Name(), "belongs to the attached cluster "+n.c.ID)
}

func (n *attachedNode) refuse(what string) error {
	return fmt.Errorf("%s %s: it belongs to the attached cluster %s, to which nothing is done: have a test that needs faults run a [program.NAME]", what, n.Name(), n.c.ID)
}

// Kill implements Node.
func (n *attachedNode) Kill() error { return n.refuse("kill") }

// Stop implements Node.
func (n *attachedNode) Stop(context.Context) error { return n.refuse("stop") }

// Restart implements Node.
func (n *attachedNode) Restart(context.Context) error { return n.refuse("restart") }

// RestartAs implements Node.
func (n *attachedNode) RestartAs(context.Context, string) error { return n.refuse("restart") }

// Pause implements Node.
func (n *attachedNode) Pause() error { return n.refuse("pause") }

// Resume implements Node.
func (n *attachedNode) Resume() error { return n.refuse("resume") }
