//go:build unix

package suite

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/runtime"
)

// blocks is how often ours and the floor take turns within one process.
const blocks = 10

// calls measures round trips. With one caller a sample is the median of all of
// them, with several it is the time that passes per call.
func calls(t *testing.T) {
	c := dist.Require(t)
	f, stop, err := startFrames()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	arg := bytes.Repeat([]byte{'x'}, job.Size)
	ctx := t.Context()
	ours := func() {
		out, err := dist.Call(ctx, c.Node(0), echo, arg)
		if err != nil || len(out) != len(arg) {
			t.Errorf("call: %d bytes, %v", len(out), err)
		}
	}
	floor := func() {
		if out := f.call(arg); len(out) != len(arg) {
			t.Errorf("frames: %d bytes", len(out))
		}
	}
	var all [2][]float64
	for block := range blocks + 1 { // the first warms up
		for i := range 2 {
			which := (i + block) % 2
			v := round([]func(){ours, floor}[which], job.Callers, job.Calls)
			if block > 0 {
				all[which] = append(all[which], v...)
			}
		}
	}
	emit(Sample{Ours: quantile(all[0], 0.5), P95: quantile(all[0], 0.95), Floor: quantile(all[1], 0.5)})
}

// round times n calls by each of several callers: one by one if there is one
// caller, or all together, per call.
func round(call func(), callers, n int) []float64 {
	if callers <= 1 {
		times := make([]float64, n)
		for i := range times {
			start := time.Now()
			call()
			times[i] = since(start)
		}
		return times
	}
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			for range n {
				call()
			}
		})
	}
	wg.Wait()
	return []float64{since(start) / float64(callers*n)}
}

// leases measures dist.Require where spares, or clean used nodes, are ready.
// Each lease is a subtest's, ended before the next.
func leases(t *testing.T) {
	const warm, n = 2, 10
	var ours, floor []float64
	for i := range warm + n {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if err := runtime.AwaitSpares(t.Context()); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			c := dist.Require(t)
			took := since(start)
			if i < warm {
				return
			}
			if c.Reused() != job.Reuse {
				t.Fatalf("cluster reused: %v, want %v", c.Reused(), job.Reuse)
			}
			ours = append(ours, took)
			// Not while the next spares start: that would flatter us.
			if err := runtime.AwaitSpares(t.Context()); err != nil {
				t.Fatal(err)
			}
			start = time.Now()
			callAll(t, c)
			floor = append(floor, since(start))
		})
	}
	if t.Failed() {
		return
	}
	emit(Sample{Ours: quantile(ours, 0.5), P95: quantile(ours, 0.95), Floor: quantile(floor, 0.5)})
}

// stops measures the end of a lease, from the end of the test that has it.
func stops(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const n = 5
	var ours, floor []float64
	for i := range n {
		var start time.Time
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Cleanup(func() { ours = append(ours, since(start)) })
			c := dist.Require(t)
			callAll(t, c)
			// Spares that are on their way would be measured as well.
			if err := runtime.AwaitSpares(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { start = time.Now() })
		})
		if !ok {
			return
		}
		processes, err := StartBareProcesses(path, os.Args, job.Nodes)
		if err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		var wg sync.WaitGroup
		for _, p := range processes {
			wg.Go(func() {
				if err := p.End(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		floor = append(floor, since(start))
	}
	emit(Sample{Ours: quantile(ours, 0.5), P95: quantile(ours, 0.95), Floor: quantile(floor, 0.5)})
}
