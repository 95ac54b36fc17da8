package manager

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
)

// TestBuild holds build to what it promises, whatever it is that fails; that
// nodes really fail so is in the other tests.
func TestBuild(t *testing.T) {
	failure := func(f diagnostics.Failure) error { return &engine.Error{Failure: f} }
	passes := failure(diagnostics.Failure{Phase: diagnostics.PhaseHandshake, Exit: &diagnostics.Exit{Code: 7}})
	stays := failure(diagnostics.Failure{Phase: diagnostics.PhasePrepare, Path: "/d", Err: syscall.ENOSPC})
	type outcome struct {
		err    error
		failed int
	}
	for _, test := range []struct {
		name  string
		min   int
		set   func(*config.Config)
		tries []outcome // then they succeed
		sizes []int     // that were tried
		code  diagnostics.Code
		tried int
	}{
		{name: "at once", sizes: []int{4}},
		{name: "a cause that can pass", tries: []outcome{{passes, 1}, {passes, 4}}, sizes: []int{4, 4, 4}, tried: 2},
		{name: "a cause that cannot", tries: []outcome{{stays, 4}}, sizes: []int{4}, code: diagnostics.DirFull},
		{name: "too often", tries: slices.Repeat([]outcome{{passes, 1}}, 9), sizes: []int{4, 4, 4}, code: diagnostics.NodeExitEarly, tried: 2},
		{name: "never", set: func(c *config.Config) { c.Fallback.Retries = 0 }, tries: []outcome{{passes, 1}}, sizes: []int{4}, code: diagnostics.NodeExitEarly},
		{name: "first one cause, then another", tries: []outcome{{passes, 1}, {stays, 1}}, sizes: []int{4, 4}, code: diagnostics.DirFull, tried: 1},
		{name: "reduced, when nothing else helps", min: 2, tries: []outcome{{passes, 1}, {passes, 1}, {passes, 1}}, sizes: []int{4, 4, 4, 3}, tried: 2},
		{name: "reduced at once, if a retry cannot help", min: 2, tries: []outcome{{stays, 2}}, sizes: []int{4, 2}},
		{name: "down to min and no further", min: 2, tries: []outcome{{stays, 1}, {stays, 1}, {stays, 1}}, sizes: []int{4, 3, 2}, code: diagnostics.DirFull},
		{name: "not below", min: 3, tries: []outcome{{stays, 2}}, sizes: []int{4}, code: diagnostics.DirFull},
		{name: "not if the test does not say so", tries: []outcome{{stays, 1}}, sizes: []int{4}, code: diagnostics.DirFull},
		{name: "not if the configuration forbids it", min: 2, set: func(c *config.Config) { c.Fallback.Reduce = false }, tries: []outcome{{stays, 1}}, sizes: []int{4}, code: diagnostics.DirFull},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := config.Default()
			c.Fallback.Retries, c.Fallback.Backoff = 2, time.Millisecond
			if test.set != nil {
				test.set(c)
			}
			r := Request{Test: t.Name(), Config: c, Requirement: requirement.Requirement{Nodes: 4, Min: test.min}}
			var sizes []int
			var reason string
			l, tried, err := build(t.Context(), r, Decision{Nodes: 4}, time.Minute, func(_ context.Context, _ Request, d Decision, size int, _ time.Duration) (*Lease, int, error) {
				sizes = append(sizes, size)
				reason = d.Reason
				if i := len(sizes) - 1; i < len(test.tries) {
					return nil, test.tries[i].failed, test.tries[i].err
				}
				return new(Lease), 0, nil
			})
			if !slices.Equal(sizes, test.sizes) || len(tried) != test.tried {
				t.Errorf("sizes %v, want %v; tried again %d times, want %d", sizes, test.sizes, len(tried), test.tried)
			}
			if (l == nil) != (test.code != "") || test.code != "" && whatIs(err).Code != test.code {
				t.Errorf("lease %v, error %v; want %s", l, err, test.code)
			}
			if last := sizes[len(sizes)-1]; last < 4 && l != nil && !(strings.Contains(reason, "of 4 nodes: ") && strings.Contains(reason, "[DIST-")) {
				t.Errorf("reason %q", reason)
			}
			for _, try := range tried {
				if !strings.Contains(try.String(), "[DIST-NODE-EXIT-EARLY], tried again after ") || try.Pause < whatIs(passes).RetryAfter {
					t.Errorf("told: %v", try)
				}
			}
		})
	}
}

// Pauses double, and no two runs have the same.
func TestPauses(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Fallback.Retries, c.Fallback.Backoff = 3, 120*time.Millisecond
	err := &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhaseExec, Path: "/x", Err: syscall.ETXTBSY}} // no earlier than after 50ms
	run := func() []Try {
		_, tried, _ := build(t.Context(), Request{Config: c}, Decision{Nodes: 1}, time.Minute, func(context.Context, Request, Decision, int, time.Duration) (*Lease, int, error) {
			return nil, 1, err
		})
		return tried
	}
	a, b := make(chan []Try), make(chan []Try)
	go func() { a <- run() }()
	go func() { b <- run() }()
	x, y := <-a, <-b
	for _, tried := range [][]Try{x, y} {
		for i, try := range tried {
			if want := c.Fallback.Backoff << i; try.Pause < want/2 || try.Pause > want*3/2+time.Millisecond {
				t.Errorf("pause %d is %v, want %v give or take a half", i, try.Pause, want)
			}
		}
	}
	if len(x) != 3 || len(y) != 3 || slices.EqualFunc(x, y, func(a, b Try) bool { return a.Pause == b.Pause }) {
		t.Errorf("pauses %v and %v", x, y)
	}
}

// The end of the test's time ends the trying.
func TestBuildEndsWithContext(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Fallback.Retries, c.Fallback.Backoff = 1000, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, tried, err := build(ctx, Request{Config: c, Requirement: requirement.Requirement{Min: 1}}, Decision{Nodes: 2}, time.Minute, func(context.Context, Request, Decision, int, time.Duration) (*Lease, int, error) {
		n++
		time.AfterFunc(time.Millisecond, cancel)
		return nil, 1, errors.New("something")
	})
	if n != 1 || len(tried) != 0 || err == nil {
		t.Errorf("%d tries, %v, %v", n, tried, err)
	}
}
