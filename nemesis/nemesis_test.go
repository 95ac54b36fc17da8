package nemesis_test

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/nemesis"
)

// What nodes do: they are started, and say whether they are.

var isStarted atomic.Bool

func start(context.Context, struct{}) (struct{}, error) {
	isStarted.Store(true)
	return struct{}{}, nil
}

func started(context.Context, struct{}) (bool, error) { return isStarted.Load(), nil }

func startAgain(ctx context.Context, n *dist.Node) error {
	_, err := dist.Call(ctx, n, start, struct{}{})
	return err
}

// state is what nodes are like: started, not started, silent, or gone.
func state(c *dist.Cluster) []string {
	states := make([]string, c.Size())
	for i, n := range c.Nodes() {
		if states[i] = "gone"; !n.Running() {
			continue
		}
		states[i] = "silent"
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.PID())); err == nil && strings.Contains(string(stat), ") T ") {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if yes, err := dist.Call(ctx, n, started, struct{}{}); err == nil {
			states[i] = map[bool]string{true: "started", false: "new"}[yes]
		}
		cancel()
	}
	return states
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

func begin(t *testing.T) *dist.Cluster {
	t.Helper()
	c := dist.Require(t)
	if _, err := dist.CallAll(t.Context(), c, start, struct{}{}); err != nil {
		t.Fatal(err)
	}
	return c
}

//dist:nodes=5
func TestFaults(t *testing.T) {
	c := begin(t)
	pids := func() (pids []int) {
		for _, n := range c.Nodes() {
			pids = append(pids, n.PID())
		}
		return pids
	}
	silent := "silent"
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("whether a process is stopped is seen in /proc")
	}
	for _, test := range []struct {
		name   string
		fault  nemesis.Fault
		during func(states []string) bool
		same   bool // the processes
	}{
		{"kill", nemesis.Kill(nemesis.Any), func(s []string) bool { return count(s, "gone") == 1 && count(s, "started") == 4 }, false},
		{"kill all", nemesis.Kill(nemesis.All), func(s []string) bool { return count(s, "gone") == 5 }, false},
		{"stop", nemesis.Stop(nemesis.Minority), func(s []string) bool { n := count(s, "gone"); return n >= 1 && n <= 2 && count(s, "started") == 5-n }, false},
		{"pause", nemesis.Pause(nemesis.Minority), func(s []string) bool { n := count(s, silent); return n >= 1 && n <= 2 && count(s, "started") == 5-n }, true},
		{"pause most", nemesis.Pause(nemesis.Majority), func(s []string) bool {
			n := count(s, silent)
			return n >= 3 && n <= 4 && count(s, "started") == 5-n
		}, true},
		{"pause the third", nemesis.Pause(nemesis.Who(func(context.Context) (*dist.Node, error) { return c.Node(2), nil })), func(s []string) bool {
			return s[2] == silent && count(s, "started") == 4
		}, true},
		{"restart", nemesis.Restart(nemesis.Any), func(s []string) bool { return count(s, "started") == 5 }, false},
		{"together", nemesis.Together(nemesis.Kill(nemesis.Any), nemesis.Pause(nemesis.Any)), func(s []string) bool {
			return count(s, "gone") == 1 && count(s, silent) == 1 && count(s, "started") == 3
		}, false},
		{"the same", nemesis.Together(nemesis.Pause(nemesis.All), nemesis.Kill(nemesis.Who(func(context.Context) (*dist.Node, error) { return c.Node(0), nil }))), func(s []string) bool {
			return count(s, silent) == 5
		}, true},
		{"nothing", nemesis.Nothing(), func(s []string) bool { return count(s, "started") == 5 }, true},
	} {
		before := pids()
		looked := 0
		err := nemesis.Run(t, c, nemesis.Options{
			Rounds: 2, Started: startAgain, Lasting: [2]time.Duration{0, time.Millisecond},
			During: func(context.Context) error {
				looked++
				if s := state(c); !test.during(s) {
					t.Errorf("%s: while it lasts: %v", test.name, s)
				}
				return nil
			},
		}, test.fault)
		if err != nil || looked != 2 {
			t.Errorf("%s: %v; %d rounds", test.name, err, looked)
		}
		if s := state(c); count(s, "started") != 5 {
			t.Errorf("%s: when it is undone: %v", test.name, s)
		}
		if slices.Equal(before, pids()) != test.same {
			t.Errorf("%s: processes %v, before %v", test.name, pids(), before)
		}
	}
}

// plan is a fault's choice alone: nothing is done.
func plan(f nemesis.Fault, plans *[]string) nemesis.Fault {
	return nemesis.FaultFunc(func(s *nemesis.Scene) (nemesis.Strike, error) {
		strike, err := f.Plan(s)
		strike.Do, strike.Undo = func(context.Context) error { return nil }, nil
		*plans = append(*plans, strike.Name)
		return strike, err
	})
}

// A schedule follows from its seed, and not from how long anything takes.
//
//dist:nodes=5
func TestSeed(t *testing.T) {
	c := dist.Require(t)
	schedule := func(seed uint64) (plans []string) {
		nothing := func(context.Context) error { time.Sleep(rand.N(time.Millisecond)); return nil }
		if err := nemesis.Run(t, c, nemesis.Options{Seed: seed, Rounds: 30, During: nothing, After: nothing},
			plan(nemesis.Kill(nemesis.Any), &plans),
			plan(nemesis.Pause(nemesis.Minority), &plans),
			plan(nemesis.Together(nemesis.Restart(nemesis.Any), nemesis.Stop(nemesis.Any)), &plans),
		); err != nil {
			t.Fatal(err)
		}
		return plans
	}
	a, b, other := schedule(1), schedule(1), schedule(2)
	if !slices.Equal(a, b) || slices.Equal(a, other) || len(a) != 30 {
		t.Errorf("seed 1: %q\nseed 1: %q\nseed 2: %q", a, b, other)
	}
	seen := make(map[string]bool)
	for _, name := range a {
		seen[name] = true
		what, _, _ := strings.Cut(name, " ")
		seen[what] = true
	}
	for _, what := range []string{"kill", "pause", "restart"} {
		if !seen[what] {
			t.Errorf("30 rounds without %s: %q", what, a)
		}
	}
	if len(seen) < 13 { // 30 of some 40 different ones
		t.Errorf("hardly any chance: %q", a)
	}
	// Without one, two schedules of a test are different ones.
	if x, y := schedule(0), schedule(0); slices.Equal(x, y) {
		t.Errorf("twice %q", x)
	}
}

// What has been done is undone, however the schedule ends.
//
//dist:nodes=3
func TestUndone(t *testing.T) {
	c := begin(t)
	whole := func(when string) {
		t.Helper()
		if s := state(c); count(s, "started") != 3 {
			t.Errorf("%s: %v", when, s)
		}
	}
	both := nemesis.Together(nemesis.Kill(nemesis.Any), nemesis.Pause(nemesis.Any))
	enough := errors.New("enough")

	err := nemesis.Run(t, c, nemesis.Options{Started: startAgain, During: func(context.Context) error { return enough }}, both)
	if !errors.Is(err, enough) || !regexp.MustCompile(`^nemesis: round 1: kill node-\d; pause node-\d: enough$`).MatchString(err.Error()) {
		t.Errorf("During fails: %v", err)
	}
	whole("During fails")

	fails := nemesis.FaultFunc(func(*nemesis.Scene) (nemesis.Strike, error) {
		return nemesis.Strike{Name: "fail", Do: func(context.Context) error { return enough }}, nil
	})
	if err := nemesis.Run(t, c, nemesis.Options{Started: startAgain}, nemesis.Together(both, fails)); !errors.Is(err, enough) {
		t.Errorf("a fault fails: %v", err)
	}
	whole("a fault fails")

	for _, rounds := range []int{0, 5} {
		ctx, cancel := context.WithCancel(t.Context())
		err := nemesis.Run(t, c, nemesis.Options{
			Context: ctx, Rounds: rounds, Started: startAgain,
			During: func(ctx context.Context) error { cancel(); <-ctx.Done(); return ctx.Err() },
		}, both)
		if rounds == 0 && err != nil || rounds > 0 && !errors.Is(err, context.Canceled) {
			t.Errorf("ctx ends, %d rounds: %v", rounds, err)
		}
		whole("ctx ends")
	}

	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		inRestart := func(s *nemesis.Scene) ([]*dist.Node, error) {
			nodes, err := nemesis.Any(s)
			pid := nodes[0].PID()
			go func() {
				defer cancel()
				for nodes[0].Running() && nodes[0].PID() == pid {
					time.Sleep(100 * time.Microsecond)
				}
			}()
			return nodes, err
		}
		if err := nemesis.Run(t, c, nemesis.Options{Context: ctx, Started: startAgain}, nemesis.Restart(inRestart)); err != nil {
			t.Errorf("ctx ends in a restart: %v", err)
		}
		whole("ctx ends in a restart")
	}

	ctx, cancel := context.WithCancel(t.Context())
	err = nemesis.Run(t, c, nemesis.Options{
		Context: ctx, Started: func(ctx context.Context, n *dist.Node) error { return errors.Join(startAgain(ctx, n), enough) },
		During: func(ctx context.Context) error { cancel(); return ctx.Err() },
	}, nemesis.Kill(nemesis.Any))
	if !errors.Is(err, enough) || !strings.Contains(err.Error(), "undo it: start what ran on node-") {
		t.Errorf("it cannot be undone: %v", err)
	}
	whole("Started fails")

	left := make(chan struct{})
	done := make(chan struct{})
	go func() { // its goroutine ends, as by t.FailNow
		defer close(done)
		nemesis.Run(t, c, nemesis.Options{Started: startAgain, During: func(context.Context) error {
			close(left)
			runtime.Goexit()
			return nil
		}}, both)
	}()
	<-left
	<-done
	whole("Goexit")
}

//dist:nodes=2
func TestNoSuchVictims(t *testing.T) {
	c := dist.Require(t)
	for name, fault := range map[string]nemesis.Fault{
		"minority": nemesis.Kill(nemesis.Minority), "majority": nemesis.Kill(nemesis.Majority),
		"too many": nemesis.Together(nemesis.Kill(nemesis.All), nemesis.Kill(nemesis.Any)),
	} {
		if err := nemesis.Run(t, c, nemesis.Options{Rounds: 1}, fault); err == nil || !strings.Contains(err.Error(), "to choose: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := state(c); count(s, "new") != 2 {
		t.Errorf("something was done: %v", s)
	}
}

// TestOnPurpose fails, in a process of its own; see TestFailure.
//
//dist:nodes=3
func TestOnPurpose(t *testing.T) {
	how := os.Getenv("NEMESIS_ON_PURPOSE")
	if how == "" {
		t.Skip("for TestFailure")
	}
	c := begin(t)
	t.Cleanup(func() { fmt.Printf("at the end: %v\n", state(c)) })
	o := nemesis.Options{Rounds: 4, Started: startAgain, Lasting: [2]time.Duration{0, time.Millisecond}}
	faults := []nemesis.Fault{nemesis.Kill(nemesis.Any), nemesis.Pause(nemesis.Any), nemesis.Restart(nemesis.Any), nemesis.Stop(nemesis.Any)}
	switch how {
	case "late":
		if err := nemesis.Run(t, c, o, faults...); err != nil {
			t.Fatal(err)
		}
		t.Error("on purpose")
	case "fatal":
		o.During = func(context.Context) error { t.Fatal("on purpose"); return nil }
		nemesis.Run(t, c, o, nemesis.Kill(nemesis.Any))
	case "left":
		struck := make(chan struct{})
		o.During = func(ctx context.Context) error { close(struck); <-ctx.Done(); return ctx.Err() }
		go nemesis.Run(t, c, o, nemesis.Kill(nemesis.Any))
		<-struck
		t.Error("on purpose")
	case "seed":
		nemesis.Run(t, c, o, faults...)
	}
}

// A test that fails says its seed, and has the same schedule with it again.
func TestFailure(t *testing.T) {
	run := func(how, seed string, want ...string) string {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestOnPurpose$", "-test.timeout=2m")
		cmd.Env = append(os.Environ(), "NEMESIS_ON_PURPOSE="+how, nemesis.EnvSeed+"="+seed)
		b, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%s: it passes:\n%s", how, b)
		}
		for _, w := range want {
			if !regexp.MustCompile(w).Match(b) {
				t.Errorf("%s: no %q in\n%s", how, w, b)
			}
		}
		return string(b)
	}
	const whole = `at the end: \[started started started\]`
	first := run("late", "", `on purpose`, whole)
	story := regexp.MustCompile(`the seed was (\d+): the same schedule again with DIST_SEED=\d+\n( +round \d: .*\n){4}`)
	m := story.FindStringSubmatch(first)
	if m == nil {
		t.Fatalf("it does not say its seed:\n%s", first)
	}
	if again := story.FindString(run("late", m[1])); again != m[0] {
		t.Errorf("with the seed it has\n%s\nwithout it had\n%s", again, m[0])
	}
	run("fatal", "7", `on purpose`, whole, `DIST_SEED=7\n +round 1: kill node-\d\n`)
	run("left", "", `on purpose`, whole, `round 1: kill node-\d\n`)
	run("seed", "x", `DIST_SEED=x: a seed is a number`)
}
