//go:build unix

package manager_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager"
)

const leave = "DIST_TEST_LEAVE"

// A node that is told to leave does so before it answers.
func TestMain(m *testing.M) {
	if process.Inherited() != nil && os.Getenv(leave) != "" {
		os.Exit(7)
	}
	if process.Inherited() == nil {
		// What else runs on this machine must not have its spares given up.
		cache, err := os.MkdirTemp("", "dist-manager-")
		if err != nil {
			panic(err)
		}
		os.Setenv("XDG_CACHE_HOME", cache)
		code := runtime.Main(m)
		os.RemoveAll(cache)
		os.Exit(code)
	}
	os.Exit(runtime.Main(m))
}

// flaky is the process engine, some of whose nodes leave.
type flaky struct {
	engine.Engine
	starts atomic.Int32
	leaves func(start int) bool
}

func (f *flaky) Start(ctx context.Context, s engine.Spec) (engine.Node, error) {
	if n := int(f.starts.Add(1)); f.leaves != nil && f.leaves(n) {
		s.Env = append(s.Env, leave+"=1")
	}
	return f.Engine.Start(ctx, s)
}

func open(t *testing.T, leaves func(start int) bool) (*manager.Manager, *flaky) {
	t.Helper()
	e := &flaky{Engine: process.New(), leaves: leaves}
	m := manager.New(e, os.Environ)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, p := range m.Close(ctx) {
			t.Error(p.Diagnosis)
		}
	})
	return m, e
}

func request(t *testing.T, r requirement.Requirement) manager.Request {
	c := config.Default()
	c.Fallback.Backoff = time.Millisecond
	return manager.Request{Test: t.Name(), Requirement: r, Config: c}
}

func release(t *testing.T, m *manager.Manager, l *manager.Lease) {
	t.Helper()
	for _, p := range m.Release(context.Background(), l, true, func(bool) bool { return false }).Problems {
		if p.Fails {
			t.Error(p.Diagnosis)
		}
	}
}

func TestFailedStartIsTriedAgain(t *testing.T) {
	m, e := open(t, func(start int) bool { return start <= 2 })
	l, err := m.Acquire(t.Context(), request(t, requirement.Requirement{Nodes: 3}))
	if err != nil {
		t.Fatal(err)
	}
	defer release(t, m, l)
	// Two left, one did not: it is kept for the next try.
	if n := e.starts.Load(); n != 5 {
		t.Errorf("%d starts for three nodes of which two left at first", n)
	}
	if s := m.Stats(); s.Retried != 1 || s.Leases != 1 {
		t.Errorf("%+v", s)
	}
	if err := l.WaitHealthy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTriesEnd(t *testing.T) {
	m, _ := open(t, func(int) bool { return true })
	r := request(t, requirement.Requirement{Nodes: 2})
	_, err := m.Acquire(t.Context(), r)
	var u *manager.Unavailable
	if !errors.As(err, &u) {
		t.Fatalf("got %v", err)
	}
	text := u.Error()
	if u.Skip() || u.Diagnosis.Code != diagnostics.NodeExitEarly || !strings.Contains(text, "exit status 7") || !strings.Contains(text, "tried 4 times") ||
		!strings.Contains(text, "node-1, like node-2, exited") || strings.Count(text, "exit status 7") > 3 {
		t.Errorf("%s", text)
	}
	r.Requirement.Optional = true
	if _, err = m.Acquire(t.Context(), r); !errors.As(err, &u) || !u.Skip() || !strings.Contains(u.Error(), "optional") {
		t.Errorf("optional: %v", err)
	}
}

func TestFewerNodesWhereTheTestBearsThem(t *testing.T) {
	leaves := func(start int) bool { return start > 2 }
	m, _ := open(t, leaves)
	l, err := m.Acquire(t.Context(), request(t, requirement.Requirement{Nodes: 4, Min: 2}))
	if err != nil {
		t.Fatal(err)
	}
	defer release(t, m, l)
	if l.Size() != 2 || !strings.Contains(l.Decision.Reason, "2 of 4 nodes") || m.Stats().Reduced != 1 {
		t.Errorf("%d nodes: %s; %+v", l.Size(), l.Decision.Reason, m.Stats())
	}
	m, _ = open(t, leaves)
	if l, err := m.Acquire(t.Context(), request(t, requirement.Requirement{Nodes: 4, Min: 3})); err == nil {
		t.Errorf("%d nodes for a test that needs three", l.Size())
	}
}

func TestSparesAreReadyBeforeTheyAreAskedFor(t *testing.T) {
	m, e := open(t, nil)
	r := request(t, requirement.Requirement{Nodes: 3, Ports: []string{"a"}})
	for range 3 {
		m.Warm(3, r.Config)
		m.Warm(2, r.Config) // there are enough
		l, err := m.Acquire(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		release(t, m, l)
	}
	if n := e.starts.Load(); n != 9 {
		t.Errorf("%d starts for 3 × 3 spares", n)
	}
}

func TestDeadSpareIsReplaced(t *testing.T) {
	m, e := open(t, func(start int) bool { return start <= 3 })
	r := request(t, requirement.Requirement{Nodes: 3})
	m.Warm(3, r.Config)
	l, err := m.Acquire(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	release(t, m, l)
	if n := e.starts.Load(); n != 6 {
		t.Errorf("%d starts for three nodes and three spares that died", n)
	}
}

func TestCancelledWait(t *testing.T) {
	m, _ := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var u *manager.Unavailable
	if _, err := m.Acquire(ctx, request(t, requirement.Requirement{Nodes: 3})); !errors.As(err, &u) {
		t.Errorf("got %v", err)
	}
}

// Two managers are what two test binaries are to the machine.
func TestMachineIsShared(t *testing.T) {
	first, _ := open(t, nil)
	second, _ := open(t, nil)
	r := request(t, requirement.Requirement{Nodes: 3})
	r.Config.Resources.MaxNodesOnMachine = 5
	first.Warm(3, r.Config) // given up, for the second's lease
	l, err := second.Acquire(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var u *manager.Unavailable
	short := r
	short.Requirement.Timeout = 50 * time.Millisecond
	if _, err := first.Acquire(t.Context(), short); !errors.As(err, &u) || u.Diagnosis.Code != diagnostics.LimitMachine || !strings.Contains(err.Error(), t.Name()) {
		t.Errorf("3 of 3 + 3 nodes where 5 are allowed: %v", err)
	}
	// Who has a cluster does not wait for the next. How many are too many depends
	// on how many of the first's spares have come to their end by now.
	over, err := second.Acquire(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if s := second.Stats(); s.Overcommitted != 1 || !strings.Contains(over.Decision.Reason, " more than this machine is to run at once") {
		t.Errorf("%+v, %s", s, over.Decision.Reason)
	}
	release(t, second, over)
	got := make(chan *manager.Lease)
	go func() {
		l, err := first.Acquire(t.Context(), r)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	// In the queue, or about to be: it gets its turn in either case.
	release(t, second, l)
	if l := <-got; l != nil {
		release(t, first, l)
	}
}
