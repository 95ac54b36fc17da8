package manager

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/manager/allowance"
	"github.com/distkit/dist/runtime/network"
)

// A Lease is one test's hold on a cluster, from Acquire to Release.
type Lease struct {
	ID       string
	Nodes    []Node
	Decision Decision
	Wait     time.Duration // how long Acquire took
	Tried    []Try         // starts that had failed before

	request Request
	cluster cluster
	room    *allowance.Grant // nil if nobody counts its nodes here
	began   time.Time        // Acquire
	ended   atomic.Bool
	net     conditions
}

// A cluster is what a lease is of.
type cluster interface {
	// health returns what is wrong by node, when ctx ends or nothing is.
	health(ctx context.Context) []error
	// release gives the cluster back. keep = false lets nothing stay that could
	// serve another test. wantLogs is asked last, when it is known whether there
	// are problems.
	release(ctx context.Context, keep bool, wantLogs func(problems bool) bool) Report
	// faults returns what injects network faults, or why there is nothing that does.
	faults() (network.Faults, error)
}

// Size is the number of nodes.
func (l *Lease) Size() int { return len(l.Nodes) }

// Test is the test that holds the lease.
func (l *Lease) Test() string { return l.request.Test }

// Program is the program that the nodes run; "" for the test binary.
func (l *Lease) Program() string { return l.request.Requirement.Program }

// Addrs are the addresses of a named port, by node.
func (l *Lease) Addrs(port string) []string {
	addrs := make([]string, len(l.Nodes))
	for i, n := range l.Nodes {
		addrs[i] = n.Addr(port)
	}
	return addrs
}

// Reused reports whether a node of the cluster had served an earlier lease.
func (l *Lease) Reused() bool {
	for _, n := range l.Nodes {
		if n.Used() {
			return true
		}
	}
	return false
}

// Ended reports whether Release has been called.
func (l *Lease) Ended() bool { return l.ended.Load() }

func (l *Lease) endedError() error {
	return fmt.Errorf("the cluster of %s has ended with its test", l.request.Test)
}

// WaitHealthy returns when every node is healthy, or names those that are not
// when ctx ends.
func (l *Lease) WaitHealthy(ctx context.Context) error {
	var lines []string
	var first error
	for i, err := range l.cluster.health(ctx) {
		if err != nil {
			if first == nil {
				first = err
			}
			lines = append(lines, fmt.Sprintf("%s: %v", l.Nodes[i].Name(), err))
		}
	}
	if first == nil {
		return nil
	}
	return &unhealthyError{
		text:  fmt.Sprintf("cluster %s: %d of %d nodes are not healthy\n%s", l.ID, len(lines), len(l.Nodes), strings.Join(lines, "\n")),
		first: first,
	}
}

type unhealthyError struct {
	text  string
	first error
}

func (e *unhealthyError) Error() string { return e.text }
func (e *unhealthyError) Unwrap() error { return e.first }

// A Report is what there is to say at the end of a lease.
type Report struct {
	Problems []Problem
	Left     []string            // processes that had left their process groups, now gone
	Logs     map[string][]string // last lines by node name; nil unless wanted
	Notes    []string            // what else the test's log is to have
	Lost     []string            // whose coverage is lost, and why; to be told there, too
	Kept     int                 // nodes kept for reuse
	Replaced int                 // nodes that were to be kept and could not be
}

// Release ends the lease. keep = false lets nothing of it stay for another
// test. wantLogs is asked last, when it is known whether there are problems.
func (m *Manager) Release(ctx context.Context, l *Lease, keep bool, wantLogs func(problems bool) bool) Report {
	l.ended.Store(true)
	m.pool.warmNow()
	ctx, cancel := context.WithTimeout(ctx, l.request.Config.StopTimeout())
	defer cancel()
	r := l.cluster.release(ctx, keep, wantLogs)
	if l.room != nil {
		l.room.Release()
	}
	l.recordLease(r.Left)
	for _, p := range r.Problems {
		l.recordDiagnosis(p.Node, p.Diagnosis)
	}
	m.mu.Lock()
	m.stats.Replaced += r.Replaced
	m.mu.Unlock()
	return r
}
