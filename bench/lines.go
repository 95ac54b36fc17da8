package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/distkit/dist/bench/suite"
)

// A sample is one round of one line, in nanoseconds or bytes.
type sample struct{ ours, floor, p95 float64 }

// A line is one thing that is measured.
type line struct {
	name    string
	unit    string // of value and floor
	doc     string // what is measured
	floor   string // against what
	goal    goal
	measure func(ctx context.Context, b *binary, round int) (sample, error)
	inTree  func(ctx context.Context, t *tree, round int) (sample, error)      // instead of measure
	inSuite func(ctx context.Context, s *manyTests, round int) (sample, error) // instead of measure
	inKept  func(ctx context.Context, k *kept, round int) (sample, error)      // instead of measure
	rounds  int                                                                // at most, if not 0: a round is long
}

// A goal is what a line is meant to reach. Zero fields ask for nothing.
type goal struct {
	ratio float64       // at most
	value time.Duration // at most
	more  float64       // than the floor, at most, in the line's unit
}

func (g goal) String() string {
	switch {
	case g.ratio > 0:
		return fmt.Sprintf("ratio ≤ %g", g.ratio)
	case g.value > 0:
		return fmt.Sprintf("value < %v", g.value)
	case g.more > 0:
		return fmt.Sprintf("floor + %g", g.more)
	}
	return ""
}

var lines = slices.Concat([]line{
	start(1), start(3), start(16), start(64), start(256),
	{
		name: "call_64b", unit: "µs", goal: goal{ratio: 1.25},
		doc:     "dist.Call with an argument and a result of 64 bytes, median",
		floor:   "frames with ids over a socket pair to another process",
		measure: one(suite.Job{Kind: suite.Calls, Nodes: 1, Size: 64, Callers: 1, Calls: 200}),
	},
	{
		name: "call_1mib", unit: "µs", goal: goal{ratio: 1.25},
		doc:     "dist.Call with an argument and a result of 1 MiB, median",
		floor:   "frames with ids over a socket pair to another process",
		measure: one(suite.Job{Kind: suite.Calls, Nodes: 1, Size: 1 << 20, Callers: 1, Calls: 10}),
	},
	{
		name: "call_64_callers", unit: "µs", goal: goal{ratio: 1.25},
		doc:     "time per dist.Call, 64 bytes, by 64 goroutines at once",
		floor:   "frames with ids over a socket pair, by 64 goroutines at once",
		measure: one(suite.Job{Kind: suite.Calls, Nodes: 1, Size: 64, Callers: 64, Calls: 50}),
	},
	{
		name: "lease_spare", unit: "µs", goal: goal{value: time.Millisecond},
		doc:     "dist.Require, 3 nodes, while 3 spares are ready",
		floor:   "a call to each of 3 nodes at once",
		measure: one(suite.Job{Kind: suite.Leases, Nodes: 3}),
	},
	{
		name: "lease_reused", unit: "µs", goal: goal{value: time.Millisecond},
		doc:     "dist.Require, 3 nodes, while 3 used ones are clean",
		floor:   "a call to each of 3 nodes at once",
		measure: one(suite.Job{Kind: suite.Leases, Nodes: 3, Reuse: true}),
	},
	{
		name: "lease_kept", unit: "ms", goal: goal{value: 20 * time.Millisecond},
		doc:    "a shared lease of 3 etcd servers that another process has up, by one that asks for the first time",
		floor:  "a connection to each of them, at once",
		inKept: leaseKept,
	},
	diagnose(1), diagnose(3),
	{
		name: "link_64b", unit: "µs", goal: goal{ratio: 1.25},
		doc:     "round trip of 64 bytes between two nodes whose links can be cut, median",
		floor:   "the same by way of a proxy that is io.Copy and nothing else",
		measure: one(suite.Job{Kind: suite.Link, Nodes: 2, Size: 64, Calls: 200}),
	},
	{
		name: "link_1mib", unit: "µs", goal: goal{ratio: 1.25},
		doc:     "1 MiB of a stream from one node to another by way of a link that can be cut, median",
		floor:   "the same by way of a proxy that is io.Copy and nothing else",
		measure: one(suite.Job{Kind: suite.Stream, Nodes: 2, Size: 1 << 20, Calls: 40}),
	},
	{
		name: "cut", unit: "µs", goal: goal{value: time.Millisecond},
		doc:     "Cluster.Isolate of a node that is in the middle of a stream, median",
		floor:   "a call to that node",
		measure: one(suite.Job{Kind: suite.Cut, Nodes: 2}),
	},
	{
		name: "heal", unit: "µs", goal: goal{value: time.Millisecond},
		doc:     "Cluster.Heal of the same, until the stream flows again, median",
		floor:   "a call to that node",
		measure: one(suite.Job{Kind: suite.Heal, Nodes: 2}),
	},
	connected("links", 3), connected("links", 16), connected("links", 64),
	connected("namespaces", 3), connected("namespaces", 16), connected("namespaces", 64),
	{
		name: "namespaces_64b", unit: "µs", goal: goal{ratio: 1.1},
		doc:     "round trip of 64 bytes between two nodes in networks of their own, median",
		floor:   "the same over the loopback interface, without networks that can have faults",
		measure: against("namespaces", suite.Job{Kind: suite.Talk, Nodes: 2, Size: 64, Calls: 200}),
	},
	{
		name: "namespaces_1mib", unit: "µs", goal: goal{ratio: 1.1},
		doc:     "1 MiB of a stream from one node to another in networks of their own, median",
		floor:   "the same over the loopback interface, without networks that can have faults",
		measure: against("namespaces", suite.Job{Kind: suite.Flow, Nodes: 2, Size: 1 << 20, Calls: 40}),
	},
	{
		name: "stop_3", unit: "ms", goal: goal{value: 3 * time.Millisecond},
		doc:     "the end of a lease of 3 nodes, from the end of its test",
		floor:   "3 bare processes, told to exit, until they are reaped",
		measure: one(suite.Job{Kind: suite.Stops, Nodes: 3}),
	},
}, reap, idle, []line{
	{
		name: "suite_20", unit: "ms", goal: goal{ratio: 1.05}, rounds: 5,
		doc:     "go test ./... of 20 packages with 5 tests of 3 nodes each, without the cache for results",
		floor:   "the same tests without their clusters: the calls are made in the test process",
		inSuite: measureSuite,
	},
	{
		name: "distgen_none", unit: "ms", goal: goal{ratio: 5},
		doc:    "processor time of distgen ./... in a large module where no test needs a cluster",
		floor:  "to search the same test files for a string",
		inTree: measureNone,
	},
	{
		name: "distgen_some", unit: "ms", goal: goal{ratio: 1.2},
		doc:    "processor time of distgen ./... in a large module where 5 packages need clusters, all built before",
		floor:  "to load these 5 packages",
		inTree: measureSome,
	},
	{
		name: "distgen_growth", unit: "ms", goal: goal{ratio: 1.1},
		doc:    "processor time of distgen for 5 packages that need clusters and all others of a large module",
		floor:  "distgen for the 5 and a tenth of the others, and to search the test files of the rest for a string",
		inTree: measureGrowth,
	},
	{
		name: "vet_overhead", unit: "ms", goal: goal{ratio: 1},
		doc:    "processor time of go vet -vettool=distvet for 5 packages and the facts of what they import, all built before",
		floor:  "go vet of the same packages",
		inTree: measureVet,
	},
	{
		name: "vet_overhead_cold", unit: "ms", goal: goal{ratio: 1}, rounds: 3,
		doc:    "the same with an empty build cache",
		floor:  "go vet of the same packages",
		inTree: measureColdVet,
	},
})

// one has a fresh process measure both.
func one(j suite.Job) func(context.Context, *binary, int) (sample, error) {
	return func(ctx context.Context, b *binary, _ int) (sample, error) {
		s, err := b.do(ctx, j)
		return sample{s.Ours, s.Floor, s.P95}, err
	}
}

// freshly measures in two processes, one for each: both times everything is done
// for the first time.
func freshly(ours, floor string, nodes int) func(context.Context, *binary, int) (sample, error) {
	return func(ctx context.Context, b *binary, round int) (s sample, err error) {
		for i := range 2 {
			kind, to := ours, &s.ours
			if (i+round)%2 == 1 {
				kind, to = floor, &s.floor
			}
			got, err := b.do(ctx, suite.Job{Kind: kind, Nodes: nodes})
			if err != nil {
				return s, err
			}
			*to = got.Ours + got.Floor // one of which is 0
		}
		return s, nil
	}
}

// against has a fresh process each measure the same job in a network that can
// have faults by a backend, and in one that cannot.
func against(by string, j suite.Job) func(context.Context, *binary, int) (sample, error) {
	return func(ctx context.Context, b *binary, round int) (s sample, err error) {
		for i := range 2 {
			j, to := j, &s.ours
			j.Faults = by
			if (i+round)%2 == 1 {
				j.Faults, to = "", &s.floor
			}
			got, err := b.do(ctx, j)
			if err != nil {
				return s, err
			}
			*to = got.Ours
			if j.Faults != "" {
				s.p95 = got.P95
			}
		}
		return s, nil
	}
}

// connected is the start of nodes with a network that can have faults.
func connected(by string, n int) line {
	return line{
		name: fmt.Sprintf("start_%s_%d", by, n), unit: "ms",
		doc:     fmt.Sprintf("from the test process's TestMain until %d nodes in a network that can have faults, by %s, have answered a call", n, by),
		floor:   "the same without the network",
		measure: against(by, suite.Job{Kind: suite.Start, Nodes: n}),
	}
}

func start(n int) line {
	l := line{
		name: fmt.Sprintf("start_%d", n), unit: "ms",
		doc:     fmt.Sprintf("from the test process's TestMain until %d node(s) have answered a call", n),
		floor:   fmt.Sprintf("start %d bare process(es) of the same binary, until their TestMain has written a byte", n),
		measure: freshly(suite.Start, suite.StartBare, n),
	}
	l.goal.ratio = 1.25
	if n >= 64 {
		l.rounds = 256 / n * 3 // each takes a while
	}
	return l
}

func diagnose(n int) line {
	return line{
		name: fmt.Sprintf("diagnose_%d", n), unit: "ms",
		doc:     fmt.Sprintf("from the test process's TestMain until the message is there why %d node(s) that exit at once do not start", n),
		floor:   fmt.Sprintf("start %d bare process(es) of the same binary that exit at once, until reaped", n),
		measure: freshly(suite.Diagnose, suite.ExitBare, n),
	}
}
