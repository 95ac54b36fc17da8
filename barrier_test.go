package dist_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// patience is how long a node of these tests waits for the others.
const patience = 60 * time.Second

// met counts how often this process has passed a barrier.
var met sync.Map // name → int

// meet waits at barriers, one after the other.
func meet(ctx context.Context, names []string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, name := range names {
		if err := dist.Self(ctx).Barrier(ctx, name); err != nil {
			return i, err
		}
		n, _ := met.LoadOrStore(name, 0)
		met.Store(name, n.(int)+1)
	}
	return len(names), nil
}

func howOftenMet(_ context.Context, name string) (int, error) {
	n, ok := met.Load(name)
	if !ok {
		return 0, nil
	}
	return n.(int), nil
}

// A missed is a BarrierError as it was on a node.
type missed struct {
	Typed, Ended     bool // errors.As, errors.Is of the context's error
	Arrived, Missing []string
	Reasons, Stacks  []string
}

func missedOf(err error, ended error) missed {
	var m missed
	var e *dist.BarrierError
	if m.Typed = errors.As(err, &e); m.Typed {
		m.Ended = errors.Is(err, ended)
		m.Arrived = e.Arrived
		for _, who := range e.Missing {
			m.Missing = append(m.Missing, who.Node)
			m.Reasons = append(m.Reasons, who.Reason)
			m.Stacks = append(m.Stacks, who.Stack)
		}
	}
	return m
}

// miss waits at a barrier that is not going to be passed: until the deadline if
// it is not zero, until somebody ends otherwise.
func miss(ctx context.Context, in missArgs) (missed, error) {
	c, cancel := context.WithTimeout(ctx, patience)
	if in.Limit > 0 {
		c, cancel = context.WithTimeout(ctx, in.Limit)
	}
	defer cancel()
	err := dist.Self(ctx).Barrier(c, in.Name)
	if err == nil {
		return missed{}, errors.New("the barrier was passed")
	}
	return missedOf(err, context.DeadlineExceeded), nil
}

func idle(ctx context.Context, _ struct{}) (struct{}, error) {
	idleDeeply(ctx)
	return struct{}{}, ctx.Err()
}

func idleDeeply(ctx context.Context) { <-ctx.Done() }

type missArgs struct {
	Name  string
	Limit time.Duration
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

//dist:nodes=3
func TestBarrier(t *testing.T) {
	c := dist.Require(t)
	const times = 50
	names := make([]string, times)
	for i := range names {
		names[i] = "again"
	}
	passed, err := dist.CallAll(within(t), c, meet, names)
	if err != nil || fmt.Sprint(passed) != "[50 50 50]" {
		t.Fatal(passed, err)
	}
	// The test, which waits alongside, hears of each time, and no sooner.
	for range times {
		if err := c.Barrier(within(t), "again"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if m := missedOf(c.Barrier(ctx, "again"), context.DeadlineExceeded); !m.Ended || len(m.Arrived) != 0 || fmt.Sprint(m.Missing) != "[node-1 node-2 node-3]" {
		t.Errorf("the 51st time: %+v", m)
	}

	// Several waits on one node are one arrival.
	ctx, cancel = context.WithCancel(within(t))
	defer cancel()
	results := make(chan error)
	for range 4 {
		go func() {
			_, err := dist.Call(ctx, c.Node(0), meet, []string{"several"})
			results <- err
		}()
	}
	for _, n := range c.Nodes()[1:] {
		go func() {
			for ctx.Err() == nil { // as often as one of the four was late
				dist.Call(ctx, n, meet, []string{"several"})
			}
		}()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

//dist:nodes=3
func TestBarrierWithTheTest(t *testing.T) {
	c := dist.Require(t)
	if err := c.Join("start", "stop"); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 1)
	go func() {
		_, err := dist.CallAll(within(t), c, meet, []string{"start", "between", "stop"})
		results <- err
	}()
	never := func(name string) {
		t.Helper()
		counts, err := dist.CallAll(within(t), c, howOftenMet, name)
		if err != nil || slices.Max(counts) != 0 {
			t.Errorf("%q was passed without the test: %v, %v", name, counts, err)
		}
	}
	if m, err := dist.Call(within(t), c.Node(0), miss, missArgs{"start", 50 * time.Millisecond}); err != nil || !m.Ended || m.Missing[len(m.Missing)-1] != "the test" || m.Reasons[len(m.Reasons)-1] != "it has not called Cluster.Barrier" {
		t.Errorf("while the test is not there: %+v, %v", m, err)
	}
	never("start")
	if err := c.Barrier(within(t), "start"); err != nil {
		t.Fatal(err)
	}
	if err := c.Barrier(within(t), "between"); err != nil {
		t.Fatal(err)
	}
	never("stop")
	if err := c.Barrier(within(t), "stop"); err != nil {
		t.Fatal(err)
	}
	if err := <-results; err != nil {
		t.Error(err)
	}
}

// The error names who is there, who is not, and where those are.
//
//dist:nodes=5
func TestBarrierEndsWithContext(t *testing.T) {
	c := dist.Require(t)
	waits := make(chan error, 1)
	go func() { // node-1, until the end
		_, err := dist.Call(t.Context(), c.Node(0), meet, []string{"here"})
		waits <- err
	}()
	go dist.Call(t.Context(), c.Node(1), idle, struct{}{})
	go dist.Call(t.Context(), c.Node(2), meet, []string{"elsewhere"})
	if err := c.Node(3).Pause(); err != nil {
		t.Fatal(err)
	}
	// When all are where they are to be is seen from the error itself.
	want := missed{
		Typed: true, Ended: true,
		Arrived: []string{"node-1", "node-5"}, Missing: []string{"node-2", "node-3", "node-4"},
		Reasons: []string{`dist_test.idle is at `, `it waits at barrier "elsewhere"; dist_test.meet is at `, `paused by the test`},
	}
	like := func(m missed) bool {
		ok := m.Typed && m.Ended && slices.Equal(m.Arrived, want.Arrived) && slices.Equal(m.Missing, want.Missing)
		for i := range m.Reasons {
			ok = ok && strings.HasPrefix(m.Reasons[i], want.Reasons[i])
		}
		return ok && strings.Contains(m.Reasons[0], "in dist_test.idleDeeply") && strings.Contains(m.Stacks[0], "dist_test.idleDeeply") && strings.Contains(m.Stacks[0], "dist_test.idle\n") && !strings.Contains(m.Stacks[0], "nodeSide") && m.Stacks[2] == ""
	}
	var last missed
	for deadline := time.Now().Add(patience); ; {
		m, err := dist.Call(within(t), c.Node(4), miss, missArgs{"here", 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if last = m; like(m) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v\nwant %+v", m, want)
		}
	}
	// The test, alongside, is told that node-5 has been there.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := c.Barrier(ctx, "here")
	m := missedOf(err, context.DeadlineExceeded)
	if !m.Ended || fmt.Sprint(m.Arrived) != "[node-1]" || len(m.Reasons) != 4 || m.Reasons[3] != "it was there, and has given up; no function runs on it" {
		t.Errorf("the test: %v", err)
	}
	// As text, where a function returns it.
	ctx, cancel = context.WithCancel(t.Context())
	_, err = dist.Call(ctx, c.Node(4), missText, "here")
	cancel()
	var remote *dist.RemoteError
	if !errors.As(err, &remote) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `barrier "here": context deadline exceeded: node-1, node-5 are at it, node-2, node-3, node-4 are missing`) ||
		!strings.Contains(err.Error(), "\n    node-4: paused by the test") || !strings.Contains(err.Error(), "barrier_test.go:") {
		t.Errorf("as text: %v", err)
	}
	// Nobody has been made to give up, and what was missed can still be met.
	if err := c.Node(3).Resume(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes()[1:] {
		go dist.Call(t.Context(), n, meet, []string{"here"})
	}
	select {
	case err := <-waits:
		if err != nil {
			t.Error(err)
		}
	case <-within(t).Done():
		t.Errorf("node-1 still waits; %+v", last)
	}
}

func missText(ctx context.Context, name string) (struct{}, error) {
	c, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	return struct{}{}, dist.Self(ctx).Barrier(c, name)
}

// A node that ends fails the barrier for all who wait, and those who come.
//
//dist:nodes=3
func TestBarrierWithoutNode(t *testing.T) {
	c := dist.Require(t)
	gone := c.Node(2)
	for _, test := range []struct {
		name string
		end  func() error
		want string
	}{
		{"killed", gone.Kill, "killed by the test"},
		{"stopped", func() error { return gone.Stop(t.Context()) }, "stopped by the test"},
		{"restarted", func() error { return gone.Restart(t.Context()) }, "restarted"},
		{"quit", nil, "it has ended (exit status 4)"},
		{"killed when paused", func() error { return errors.Join(gone.Pause(), gone.Kill()) }, "killed by the test"},
	} {
		type outcome struct {
			missed missed
			err    error
		}
		outcomes := make(chan outcome, 3)
		for _, n := range c.Nodes()[:2] {
			go func() {
				m, err := dist.Call(within(t), n, miss, missArgs{Name: test.name})
				outcomes <- outcome{m, err}
			}()
		}
		go func() {
			outcomes <- outcome{missedOf(c.Barrier(within(t), test.name), nil), nil}
		}()
		awaitArrived(t, c, test.name, "node-1", "node-2")
		if test.end != nil {
			if err := test.end(); err != nil {
				t.Fatal(err)
			}
		} else {
			go dist.Call(t.Context(), gone, fail, "exit")
		}
		for range 3 {
			select {
			case o := <-outcomes:
				m := o.missed
				if o.err != nil || !m.Typed || m.Ended || fmt.Sprint(m.Arrived) != "[node-1 node-2]" || fmt.Sprint(m.Missing) != "[node-3]" || !strings.Contains(m.Reasons[0], test.want) {
					t.Errorf("%s: %+v, %v", test.name, m, o.err)
				}
			case <-within(t).Done():
				t.Fatalf("%s: somebody still waits", test.name)
			}
		}
		if !gone.Running() {
			// Too late is the same.
			if m, err := dist.Call(within(t), c.Node(0), miss, missArgs{Name: test.name}); err != nil || !m.Typed || m.Ended || fmt.Sprint(m.Arrived) != "[node-1]" || fmt.Sprint(m.Missing) != "[node-2 node-3]" {
				t.Errorf("%s: who comes later: %+v, %v", test.name, m, err)
			}
		}
		// Back again, it may arrive, and so may the others.
		if err := gone.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := dist.CallAll(within(t), c, meet, []string{test.name}); err != nil {
			t.Errorf("%s: when it is back: %v", test.name, err)
		}
		if err := c.Barrier(within(t), test.name); err != nil {
			t.Errorf("%s: when it is back, the test: %v", test.name, err)
		}
	}
}

// awaitArrived returns when nodes are at a barrier.
func awaitArrived(t *testing.T, c *dist.Cluster, name string, nodes ...string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		m := missedOf(c.Barrier(ctx, name), context.DeadlineExceeded)
		cancel()
		if slices.Equal(m.Arrived, nodes) {
			return
		}
	}
	t.Fatalf("%v are not at barrier %q", nodes, name)
}

// One that has arrived counts no more when it has ended.
//
//dist:nodes=2
func TestBarrierNodeEndsThere(t *testing.T) {
	c := dist.Require(t)
	if err := c.Join("there"); err != nil {
		t.Fatal(err)
	}
	outcome := make(chan missed, 1)
	go func() {
		m, err := dist.Call(within(t), c.Node(0), miss, missArgs{Name: "there"})
		if err != nil {
			t.Error(err)
		}
		outcome <- m
	}()
	go dist.Call(t.Context(), c.Node(1), meet, []string{"there"})
	for {
		m, err := dist.Call(within(t), c.Node(0), miss, missArgs{"there", 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Arrived) == 2 {
			break
		}
	}
	if err := c.Node(1).Kill(); err != nil {
		t.Fatal(err)
	}
	m := <-outcome
	if !m.Typed || m.Ended || fmt.Sprint(m.Arrived) != "[node-1]" || fmt.Sprint(m.Missing) != "[node-2 the test]" || m.Reasons[0] != "it had arrived; killed by the test" {
		t.Errorf("got %+v", m)
	}
}

// waitOn has the node wait at a barrier for as long as its lease lasts, and
// write how that ended.
func waitOn(ctx context.Context, file string) (struct{}, error) {
	self := dist.Self(ctx)
	ended := make(chan error)
	go func() { ended <- self.Barrier(context.WithoutCancel(ctx), "never") }()
	self.Cleanup(func() { os.WriteFile(file, []byte(fmt.Sprint(<-ended)), 0o600) })
	return struct{}{}, nil
}

// Waits end with the lease, and what comes after it is refused.
//
//dist:nodes=2
func TestBarrierAfterLease(t *testing.T) {
	file := filepath.Join(t.TempDir(), "how")
	kept := make(chan *dist.Cluster, 1) // in a variable, distvet would find it
	t.Run("lease", func(t *testing.T) {
		c := dist.Require(t)
		if _, err := dist.Call(t.Context(), c.Node(0), waitOn, file); err != nil {
			t.Fatal(err)
		}
		awaitArrived(t, c, "never", "node-1")
		kept <- c
	})
	c := <-kept
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "lease") || !strings.Contains(string(b), "ended") {
		t.Errorf("the node: %q, %v", b, err)
	}
	if err := c.Barrier(t.Context(), "never"); err == nil || !strings.Contains(err.Error(), "ended with its test") {
		t.Errorf("the test: %v", err)
	}
	if err := c.Join("never"); err == nil || !strings.Contains(err.Error(), "ended with its test") {
		t.Errorf("Join: %v", err)
	}
}

// meetOften meets the others n times.
func meetOften(ctx context.Context, n int) (struct{}, error) {
	for range n {
		if err := dist.Self(ctx).Barrier(ctx, "often"); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, nil
}

//dist:nodes=3
func BenchmarkBarrier(b *testing.B) {
	c := dist.Require(b)
	for b.Loop() {
		if _, err := dist.CallAll(b.Context(), c, meetOften, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	const n = 2000
	begin := time.Now()
	if _, err := dist.CallAll(b.Context(), c, meetOften, n); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(begin).Nanoseconds())/n, "ns/barrier")
}
