package manager

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/network"
)

// A Lease is one test's hold on a cluster, from Acquire to Release.
type Lease struct {
	ID       string
	Nodes    []*Node
	Decision Decision
	Wait     time.Duration // how long Acquire took

	m       *Manager
	request Request
	addrs   *network.Lease
	dir     string // of the nodes' directories: there as soon as one is asked for
	ended   atomic.Bool
}

// Size is the number of nodes.
func (l *Lease) Size() int { return len(l.Nodes) }

// Test is the test that holds the lease.
func (l *Lease) Test() string { return l.request.Test }

// Addrs are the addresses of a named port, by node.
func (l *Lease) Addrs(port string) []string {
	addrs := make([]string, len(l.Nodes))
	for i := range l.Nodes {
		addrs[i] = l.addrs.Addr(i, port)
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

// WaitHealthy returns when every node answers, or names those that do not when
// ctx ends.
func (l *Lease) WaitHealthy(ctx context.Context) error {
	errs := make([]error, len(l.Nodes))
	var wg sync.WaitGroup
	for i, n := range l.Nodes {
		wg.Go(func() { errs[i] = n.Ping(ctx) })
	}
	wg.Wait()
	var lines []string
	var first error
	for i, err := range errs {
		if err != nil {
			if first == nil {
				first = err
			}
			lines = append(lines, fmt.Sprintf("%s: %v", l.Nodes[i].Name, err))
		}
	}
	if first == nil {
		return nil
	}
	return &unhealthyError{
		text:  fmt.Sprintf("cluster %s: %d of %d nodes do not answer\n%s", l.ID, len(lines), len(l.Nodes), strings.Join(lines, "\n")),
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
	Kept     int                 // nodes kept for reuse
	Replaced int                 // nodes that were to be kept and could not be
}

// Release ends the lease. Nodes retire gracefully, all at once, unless they are
// to be reused and are provably clean; keep = false lets none stay. wantLogs is
// asked last, when it is known whether there are problems.
func (m *Manager) Release(ctx context.Context, l *Lease, keep bool, wantLogs func(problems bool) bool) Report {
	l.ended.Store(true)
	m.pool.warmNow()
	c := l.request.Config
	keep = keep && reusable(l.request.Requirement, c)
	ctx, cancel := context.WithTimeout(ctx, c.StopTimeout())
	defer cancel()

	stays := make([]bool, len(l.Nodes))
	var wg sync.WaitGroup
	for i, n := range l.Nodes {
		wg.Go(func() {
			if keep && n.reset(ctx) {
				stays[i] = true
				return
			}
			n.end(ctx)
		})
	}
	wg.Wait()

	var r Report
	var ended []engine.Node
	for i, n := range l.Nodes {
		r.Problems = append(r.Problems, n.problems...)
		ended = append(ended, n.past...)
		if stays[i] {
			r.Kept++
			continue
		}
		if keep {
			r.Replaced++
		}
		ended = append(ended, n.cur)
	}
	r.Left = l.m.engine.Sweep(ended)
	if wantLogs(len(r.Problems) > 0) {
		r.Logs = make(map[string][]string)
		for _, n := range l.Nodes {
			if tail := engine.Tail(n.Log(), shownLines); len(tail) > 0 {
				r.Logs[n.Name] = tail
			}
		}
	}
	for i, n := range l.Nodes {
		if stays[i] {
			os.Truncate(n.Log(), 0) // the next test's begins here
			l.m.pool.keep(n.cur, n.env)
		} else {
			os.Remove(n.Log())
		}
	}
	l.addrs.Release()
	os.RemoveAll(l.dir)
	l.m.mu.Lock()
	l.m.stats.Replaced += r.Replaced
	l.m.mu.Unlock()
	return r
}
