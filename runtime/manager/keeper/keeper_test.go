//go:build unix

package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/engine/process"
)

// patience is for what takes milliseconds on a machine that has time.
const patience = 60 * time.Second

func testAsk(t *testing.T, nodes int) Ask {
	return Ask{
		Who: t.Name(), Program: testProgram(), Dir: "/", Nodes: nodes, Env: os.Environ(),
		Network: config.Default().Network, Start: patience, Ready: patience, Grace: patience,
	}
}

// bothWays runs a test with a Keeper itself, and with one over a socket.
func bothWays(t *testing.T, test func(t *testing.T, o Owner, k *Keeper)) {
	t.Run("here", func(t *testing.T) {
		home(t)
		e := process.New()
		k := New(e)
		t.Cleanup(func() {
			k.Close(context.Background())
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, k, k)
	})
	t.Run("socket", func(t *testing.T) {
		home(t)
		s, k := serve(t, Options{Kind: "dist up", Open: true})
		test(t, dial(t, s.File()), k)
	})
}

func mustLease(t *testing.T, o Owner, a Ask) Lease {
	t.Helper()
	l, err := o.Lease(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release(context.Background()) })
	return l
}

func mustRelease(t *testing.T, l Lease) Report {
	t.Helper()
	r, err := l.Release(t.Context())
	if err != nil {
		t.Error(err)
	}
	return r
}

func mustTalk(t *testing.T, n NodeInfo, command string) string {
	t.Helper()
	s, err := talk(n, command)
	if err != nil {
		t.Errorf("%s to %s: %v", command, n.Name, err)
	}
	return s
}

func act(t *testing.T, l Lease, node int, a Action) State {
	t.Helper()
	s, err := l.Act(t.Context(), node, a)
	if err != nil {
		t.Errorf("%s: %v", a, err)
	}
	return s
}

// eventually waits for a condition that says what it still lacks.
func eventually(t *testing.T, lacks func() string) {
	t.Helper()
	until := time.Now().Add(patience)
	for {
		s := lacks()
		if s == "" {
			return
		}
		if time.Now().After(until) {
			t.Fatal(s)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func waitingFor(k *Keeper, n int) func() string {
	return func() string {
		var waiting []string
		for _, c := range k.list() {
			waiting = append(waiting, c.info().Waiting...)
		}
		if len(waiting) == n {
			return ""
		}
		return fmt.Sprintf("%q wait, want %d", waiting, n)
	}
}

// TestExclusive: leases are given in order, one at a time, and each begins with
// fresh data and healthy nodes.
func TestExclusive(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		first := mustLease(t, o, testAsk(t, 2))
		if i := first.Info(); i.Reused || len(i.Nodes) != 2 || i.Program != "kv" || i.Build == "" || !i.Nodes[1].Up {
			t.Errorf("the first lease's cluster: %+v", i)
		}
		var (
			mu    sync.Mutex
			order []int
			wg    sync.WaitGroup
			holds int
		)
		for i := range 4 {
			wg.Go(func() {
				a := testAsk(t, 2)
				a.Who = fmt.Sprint("Test", i)
				l, err := o.Lease(t.Context(), a)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				holds++
				if holds > 1 {
					t.Error("two have it at the same time")
				}
				mu.Unlock()
				for _, n := range l.Info().Nodes {
					if got := mustTalk(t, n, "get"); got != "" {
						t.Errorf("%s has the data %q", n.Name, got)
					}
					mustTalk(t, n, fmt.Sprint("put ", i))
				}
				if !l.Info().Reused || l.Info().ID != first.Info().ID || l.Info().Nodes[0].Addr["main"] != first.Info().Nodes[0].Addr["main"] {
					t.Errorf("not the same cluster: %+v", l.Info())
				}
				if i == 1 { // a broken one is mended for the next
					act(t, l, 0, Kill)
					act(t, l, 1, Pause)
				}
				mu.Lock()
				holds--
				mu.Unlock()
				mustRelease(t, l)
			})
			eventually(t, waitingFor(k, i+1))
		}
		mustTalk(t, first.Info().Nodes[0], "put first")
		mustRelease(t, first)
		wg.Wait()
		if !slices.IsSorted(order) || len(order) != 4 {
			t.Errorf("order %v", order)
		}
		if infos := k.Clusters(); len(infos) != 1 || len(infos[0].Leases) > 0 {
			t.Errorf("clusters: %+v", infos)
		}
	})
}

// TestShared: those that say so have the cluster together, with the data that
// are there, and no longer than nobody before them wants it alone.
func TestShared(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		shared := testAsk(t, 2)
		shared.Shared = true
		a := mustLease(t, o, shared)
		mustTalk(t, a.Info().Nodes[0], "put kept")
		b := mustLease(t, o, shared)
		if a.Info().ID != b.Info().ID || !b.Info().Reused {
			t.Errorf("not the same cluster: %+v", b.Info())
		}
		if got := mustTalk(t, b.Info().Nodes[0], "get"); got != "kept" {
			t.Errorf("data %q, want those of the other lease", got)
		}
		for _, action := range []Action{Kill, Stop, Restart, Pause, Resume} {
			if _, err := b.Act(t.Context(), 0, action); err == nil || !strings.Contains(err.Error(), "must not say shared") {
				t.Errorf("%s of a shared node: %v", action, err)
			}
		}
		got := make(chan string, 3)
		var wg sync.WaitGroup
		for i, who := range []string{"alone", "shared"} {
			wg.Go(func() {
				ask := testAsk(t, 2)
				ask.Who, ask.Shared = who, who == "shared"
				l, err := o.Lease(t.Context(), ask)
				if err != nil {
					t.Error(err)
					return
				}
				got <- who + " " + mustTalk(t, l.Info().Nodes[0], "get")
				mustTalk(t, l.Info().Nodes[0], "put "+who)
				mustRelease(t, l)
			})
			eventually(t, waitingFor(k, i+1))
		}
		mustRelease(t, a)
		if len(got) > 0 {
			t.Error("somebody has it alone while another has it")
		}
		mustRelease(t, b)
		wg.Wait()
		if x, y := <-got, <-got; x != "alone " || y != "shared alone" {
			t.Errorf("got %q and %q", x, y)
		}
	})
}

// TestReset: how an exclusive lease comes by fresh data is the program's to
// say.
func TestReset(t *testing.T) {
	for mode, want := range map[string]string{"restart": "", "exec": "", "none": "old"} {
		t.Run(mode, func(t *testing.T) {
			bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
				a := testAsk(t, 2)
				a.Program.Reset = config.Reset{Mode: mode}
				if mode == "exec" {
					a.Program.Reset.Exec = []string{"rm", "-f", "{{.Dir}}/data"}
				}
				l := mustLease(t, o, a)
				mustTalk(t, l.Info().Nodes[1], "put old")
				pid := mustTalk(t, l.Info().Nodes[1], "pid")
				mustRelease(t, l)
				l = mustLease(t, o, a)
				if got := mustTalk(t, l.Info().Nodes[1], "get"); got != want {
					t.Errorf("data %q, want %q", got, want)
				}
				if same := mustTalk(t, l.Info().Nodes[1], "pid") == pid; same != (mode != "restart") {
					t.Errorf("the same process: %v", same)
				}
			})
		})
	}
}

// TestResetFails: a reset command that fails at healthy nodes is told. One that
// fails because a node is broken is none of the test's business.
func TestResetFails(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		works := filepath.Join(t.TempDir(), "works")
		a := testAsk(t, 2)
		a.Program.Reset = config.Reset{Mode: "exec", Exec: []string{"cat", works}}
		l := mustLease(t, o, a)
		mustRelease(t, l)
		if l, err := o.Lease(t.Context(), a); err == nil {
			t.Error("a reset command that fails is not told")
			mustRelease(t, l)
		} else if code(err) != diagnostics.ProgramReset {
			t.Errorf("with a reset command that fails: %v", err)
		}
		k.settle = 100 * time.Millisecond
		mustTalk(t, l.Info().Nodes[0], "deaf")
		l = mustLease(t, o, a) // of other nodes
		mustRelease(t, l)
		if err := os.WriteFile(works, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		mustRelease(t, mustLease(t, o, a))
	})
}

// TestUp: a cluster that is only started has fresh data for the first that
// leases it, and is not started again for that.
func TestUp(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		i, err := k.Up(t.Context(), testAsk(t, 2))
		if err != nil || len(i.Leases) > 0 {
			t.Fatalf("Up() = %+v, %v", i, err)
		}
		a := testAsk(t, 2)
		a.Cluster = i.ID
		l := mustLease(t, o, a)
		if l.Info().Nodes[0].PID != i.Nodes[0].PID || !l.Info().Reused {
			t.Errorf("it was started again: %+v", l.Info())
		}
		mustRelease(t, l)
		if l = mustLease(t, o, a); l.Info().Nodes[0].PID == i.Nodes[0].PID {
			t.Error("the second lease has used nodes")
		}
		mustTalk(t, l.Info().Nodes[0], "put kept")
		mustRelease(t, l)
		if again, err := k.Up(t.Context(), testAsk(t, 2)); err != nil || again.ID != i.ID {
			t.Errorf("Up() of what is up = %+v, %v", again, err)
		}
		if got := mustTalk(t, l.Info().Nodes[0], "get"); got != "kept" {
			t.Errorf("Up() of what is up has left the data %q", got)
		}
		a.Nodes = 3
		if _, err := o.Lease(t.Context(), a); code(err) != diagnostics.ClusterUnfit || !strings.Contains(err.Error(), "too small: 2 nodes, 3 asked for") {
			t.Errorf("a cluster that is too small: %v", err)
		}
	})
}

// TestBroken: a lease of a cluster with nodes that are killed, paused, stopped,
// crashed or deaf is of a healthy one.
func TestBroken(t *testing.T) {
	breaks := map[string]func(t *testing.T, l Lease){
		"killed":  func(t *testing.T, l Lease) { act(t, l, 0, Kill) },
		"stopped": func(t *testing.T, l Lease) { act(t, l, 0, Stop) },
		"paused":  func(t *testing.T, l Lease) { act(t, l, 0, Pause) },
		"crashed": func(t *testing.T, l Lease) { talk(l.Info().Nodes[0], "exit 4") },
		"stopped by a stranger": func(t *testing.T, l Lease) {
			syscall.Kill(l.Info().Nodes[0].PID, syscall.SIGSTOP)
		},
		"deaf": func(t *testing.T, l Lease) { mustTalk(t, l.Info().Nodes[0], "deaf") },
		"killed by a stranger": func(t *testing.T, l Lease) {
			syscall.Kill(l.Info().Nodes[0].PID, syscall.SIGKILL)
		},
	}
	for name, broke := range breaks {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
				k.settle = 100 * time.Millisecond
				l := mustLease(t, o, testAsk(t, 2))
				mustTalk(t, l.Info().Nodes[0], "put kept")
				broke(t, l)
				if name == "crashed" || name == "killed by a stranger" {
					eventually(t, func() string {
						if s := k.Clusters()[0].Nodes[0].State; s.Up {
							return fmt.Sprintf("the state is %+v", s)
						}
						return ""
					})
				}
				mustRelease(t, l)
				a := testAsk(t, 2)
				a.Shared = true // takes the data as they are
				l = mustLease(t, o, a)
				if got := mustTalk(t, l.Info().Nodes[0], "get"); got != "kept" {
					t.Errorf("data %q, want those there were", got)
				}
				errs, err := l.Health(t.Context())
				if err != nil || len(errs) != 2 || errs[0] != nil || errs[1] != nil {
					t.Errorf("Health() = %v, %v", errs, err)
				}
			})
		})
	}
}

// TestSlow: what a node takes to start again is none of the time it has to become
// healthy.
func TestSlow(t *testing.T) {
	home(t)
	e := process.New()
	t.Cleanup(func() { e.Close() })
	k := New(e)
	t.Cleanup(func() { k.Close(context.Background()) })
	k.settle = 2 * time.Second
	a := testAsk(t, 2)
	a.Program.Env["DIST_TEST_SLOW"] = "2100ms"
	a.Shared = true // or a restart mends it
	l := mustLease(t, k, a)
	talk(l.Info().Nodes[0], "exit 4")
	eventually(t, func() string {
		if k.Clusters()[0].Nodes[0].Up {
			return "the node has not exited"
		}
		return ""
	})
	mustLease(t, k, a)
}

// TestMended: what a lease has left broken is mended when it has ended, not
// only when the next one comes.
func TestMended(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		l := mustLease(t, o, testAsk(t, 3))
		act(t, l, 0, Kill)
		act(t, l, 1, Pause)
		if s, err := l.State(t.Context(), 1); err != nil || !s.Paused || !s.Up {
			t.Errorf("State() = %+v, %v", s, err)
		}
		mustRelease(t, l)
		eventually(t, func() string {
			for _, n := range k.Clusters()[0].Nodes {
				if !n.Up || n.Paused {
					return fmt.Sprintf("%+v", n)
				}
			}
			return ""
		})
	})
}

// TestRestartAs has nodes run another program, for as long as the lease lasts.
func TestRestartAs(t *testing.T) {
	for _, reset := range []string{"restart", "none"} {
		t.Run(reset, func(t *testing.T) {
			bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
				a := testAsk(t, 2)
				a.Program.Reset.Mode = reset
				l := mustLease(t, o, a)
				next := testAsk(t, 2)
				as := func(p *config.Program) (State, error) {
					next.Program = p
					s, _, err := l.RestartAs(t.Context(), 0, next)
					return s, err
				}
				n := l.Info().Nodes[0]
				mustTalk(t, n, "put kept")
				wider, other := testProgram(), testProgram()
				wider.Name, wider.Ports = "wider", []string{"main", "more"}
				other.Name, other.Ports = "other", []string{"else"}
				for p, want := range map[*config.Program]string{
					wider: "the ports more, for which", other: "does not have the ports main of kv", nil: "no program",
				} {
					if _, err := as(p); err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("got %v, want %q", err, want)
					}
				}
				if s, err := l.State(t.Context(), 0); err != nil || s.PID != n.PID || s.As != "" || !s.Up {
					t.Errorf("after what cannot be: %+v, %v", s, err)
				}
				version := testProgram()
				version.Name, version.Env["DIST_TEST_VERSION"] = "next", "2"
				if s, err := as(version); err != nil || !s.Up || s.PID == n.PID || s.As != "next" {
					t.Fatalf("RestartAs() = %+v, %v", s, err)
				}
				if v, data := mustTalk(t, n, "version"), mustTalk(t, n, "get"); v != "2" || data != "kept" {
					t.Errorf("it is version %q with data %q", v, data)
				}
				act(t, l, 0, Kill)
				if s := act(t, l, 0, Restart); s.As != "next" || mustTalk(t, n, "version") != "2" {
					t.Errorf("restarted: %+v", s)
				}
				mustRelease(t, l)
				if _, _, err := l.RestartAs(t.Context(), 0, next); err == nil {
					t.Error("RestartAs() after Release")
				}
				eventually(t, func() string { // in the background, whoever comes next
					for _, n := range k.Clusters()[0].Nodes {
						if !n.Up || n.As != "" {
							return fmt.Sprintf("%+v", n)
						}
					}
					return ""
				})
				l = mustLease(t, o, a)
				n = l.Info().Nodes[0]
				want := map[string]string{"restart": "", "none": "kept"}[reset]
				if v, data := mustTalk(t, n, "version"), mustTalk(t, n, "get"); v != "" || data != want || !l.Info().Reused || n.As != "" {
					t.Errorf("the next lease: version %q with data %q; want %q: %+v", v, data, want, l.Info())
				}
				// Those who share the cluster do not change it for each other.
				mustRelease(t, l)
				a.Shared = true
				l = mustLease(t, o, a)
				if _, err := as(version); err == nil || !strings.Contains(err.Error(), "must not say shared") {
					t.Errorf("while shared: %v", err)
				}
			})
		})
	}
}

// TestActs does to nodes all that can be done.
func TestActs(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		l := mustLease(t, o, testAsk(t, 2))
		n := l.Info().Nodes[0]
		mustTalk(t, n, "put kept")
		if s := act(t, l, 0, Kill); s.Up || s.Reason != "killed by the test" {
			t.Errorf("killed: %+v", s)
		}
		if _, err := talk(n, "get"); err == nil {
			t.Error("a killed node answers")
		}
		if _, err := l.Act(t.Context(), 0, Pause); err == nil || !strings.Contains(err.Error(), "killed by the test") {
			t.Errorf("a killed node is paused: %v", err)
		}
		if errs, err := l.Health(t.Context()); err != nil || errs[0] == nil || errs[1] != nil {
			t.Errorf("Health() = %v, %v", errs, err)
		}
		if s := act(t, l, 0, Restart); !s.Up || s.PID == n.PID {
			t.Errorf("restarted: %+v", s)
		}
		if got := mustTalk(t, n, "get"); got != "kept" {
			t.Errorf("a restarted node has the data %q", got)
		}
		if s := act(t, l, 0, Pause); !s.Up || !s.Paused {
			t.Errorf("paused: %+v", s)
		}
		if s := act(t, l, 0, Resume); !s.Up || s.Paused {
			t.Errorf("resumed: %+v", s)
		}
		act(t, l, 0, Pause)
		if s := act(t, l, 0, Restart); !s.Up || s.Paused { // a paused one stops gracefully, too
			t.Errorf("restarted: %+v", s)
		}
		if s := act(t, l, 1, Stop); s.Up || s.Reason != "stopped by the test" {
			t.Errorf("stopped: %+v", s)
		}
		if _, err := l.State(t.Context(), 2); err == nil {
			t.Error("there is a third node")
		}
		if _, err := l.Act(t.Context(), 0, "eat"); err == nil {
			t.Error("an unknown action is done")
		}
		if r := mustRelease(t, l); len(r.Problems) > 0 || len(r.Logs["node-1"]) == 0 {
			t.Errorf("report: %+v", r)
		}
		if r := mustRelease(t, l); r.Logs != nil {
			t.Errorf("the second time: %+v", r)
		}
		if _, err := l.State(t.Context(), 0); err == nil {
			t.Error("State() after Release")
		}
		if _, err := l.Act(t.Context(), 0, Kill); err == nil {
			t.Error("Act() after Release")
		}
		if _, err := l.Health(t.Context()); err == nil {
			t.Error("Health() after Release")
		}
	})
}

// TestUnnoticed: a node that ends by itself is told of at the end of the lease,
// unless the test has seen it; in each lease anew.
func TestUnnoticed(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		a := testAsk(t, 1)
		a.Program.Reset.Mode = "none"
		for round := range 3 {
			mustRelease(t, mustLease(t, o, a)) // nothing happens in it
			for _, see := range []bool{false, true} {
				l := mustLease(t, o, a)
				talk(l.Info().Nodes[0], "exit 4")
				gone := func() string {
					s, err := l.State(t.Context(), 0)
					if err != nil || s.Up {
						return fmt.Sprintf("the state is %+v, %v", s, err)
					}
					if s.Reason != "exit status 4" {
						t.Errorf("reason %q", s.Reason)
					}
					return ""
				}
				if !see {
					gone = func() string {
						if s := k.Clusters()[0].Nodes[0].State; s.Up {
							return fmt.Sprintf("the state is %+v", s)
						}
						return ""
					}
				}
				eventually(t, gone)
				r := mustRelease(t, l)
				if see && len(r.Problems) > 0 || !see && (len(r.Problems) != 1 || r.Problems[0].Diagnosis.Code != diagnostics.NodeExitUnnoticed || !r.Problems[0].Fails) {
					t.Errorf("round %d: noticed: %v, problems: %+v", round, see, r.Problems)
				}
			}
		}
	})
}

// TestLost: what is asked of a node that has ended by itself fails with the
// diagnosis, whoever asks; then the end is no surprise any more.
func TestLost(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		a := testAsk(t, 1)
		ended := func(want string) {
			t.Helper()
			eventually(t, func() string { // without the holder's seeing it
				if s := k.Clusters()[0].Nodes[0].State; s.Up || s.Reason != want {
					return fmt.Sprintf("the state is %+v, want %s", s, want)
				}
				return ""
			})
		}
		for _, how := range []struct {
			end   func(t *testing.T, l Lease)
			exit  string
			code  diagnostics.Code
			cause string
		}{
			{func(t *testing.T, l Lease) { kill9(t, l.Info().Nodes[0].PID) }, "signal: killed", diagnostics.NodeSignal, "SIGKILL, which dist did not send"},
			{func(t *testing.T, l Lease) { talk(l.Info().Nodes[0], "exit 4") }, "exit status 4", diagnostics.NodeExit, "ended by itself"},
		} {
			for _, ask := range []struct {
				what string
				ask  func(l Lease) error
			}{
				{"pause node-1", func(l Lease) error { _, err := l.Act(t.Context(), 0, Pause); return err }},
				{"resume node-1", func(l Lease) error { _, err := l.Act(t.Context(), 0, Resume); return err }},
				{"ask node-1 whether it is healthy", func(l Lease) error {
					errs, err := l.Health(t.Context())
					return errors.Join(append(errs, err)...)
				}},
			} {
				l := mustLease(t, o, a)
				how.end(t, l)
				ended(how.exit)
				err := ask.ask(l)
				if e := (*engine.Error)(nil); errors.As(err, &e) {
					err = diagnostics.Diagnose(e.Failure)
				}
				d, ok := errors.AsType[*diagnostics.Diagnosis](err)
				if !ok || d.Code != how.code || !strings.Contains(d.Problem, ask.what) || !strings.Contains(d.Problem, how.exit) ||
					!strings.Contains(d.Cause, how.cause) || !strings.Contains(strings.Join(d.Evidence, "\n"), "| listening on ") {
					t.Errorf("%s after %s: %v", ask.what, how.exit, err)
				}
				if r := mustRelease(t, l); len(r.Problems) > 0 {
					t.Errorf("%s after %s: told twice: %+v", ask.what, how.exit, r.Problems)
				}
			}
		}
		l := mustLease(t, o, a)
		act(t, l, 0, Kill)
		if _, err := l.Act(t.Context(), 0, Pause); err == nil || err.Error() != "the node is not running: killed by the test" {
			t.Errorf("pause after Kill: %v", err)
		}
	})
}

// TestUnnoticedBefore: that a node has ended by itself is told of, too, where it
// has been started, killed or stopped since.
func TestUnnoticedBefore(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		ended := func() {
			t.Helper()
			eventually(t, func() string { // without the holder's seeing it
				if s := k.Clusters()[0].Nodes[0].State; s.Up {
					return fmt.Sprintf("the state is %+v", s)
				}
				return ""
			})
		}
		check := func(t *testing.T, what string, problems []Problem, want ...string) {
			t.Helper()
			if len(problems) != 1 || problems[0].Diagnosis.Code != diagnostics.NodeExitUnnoticed || !problems[0].Fails {
				t.Fatalf("%s: problems: %+v", what, problems)
			}
			for _, w := range want {
				if text := problems[0].Diagnosis.Error(); !strings.Contains(text, w) {
					t.Errorf("%s: %q is not in %s", what, w, text)
				}
			}
		}
		for _, a := range []Action{Restart, Kill, Stop} {
			l := mustLease(t, o, testAsk(t, 1))
			talk(l.Info().Nodes[0], "exit 4")
			ended()
			act(t, l, 0, a)
			if a == Restart {
				act(t, l, 0, a) // only once
			}
			check(t, string(a), mustRelease(t, l).Problems, "exit status 4")
		}
		// It may have gone, or be about to.
		for range 5 {
			l := mustLease(t, o, testAsk(t, 1))
			kill9(t, l.Info().Nodes[0].PID)
			act(t, l, 0, Restart)
			check(t, "killed", mustRelease(t, l).Problems, "signal: killed", "listening on")
		}
		// Whoever knows is told no more.
		l := mustLease(t, o, testAsk(t, 1))
		kill9(t, l.Info().Nodes[0].PID)
		ended()
		if _, err := l.Act(t.Context(), 0, Pause); err == nil {
			t.Error("a node that was killed is paused")
		}
		act(t, l, 0, Restart)
		if r := mustRelease(t, l); len(r.Problems) > 0 {
			t.Errorf("told twice: %+v", r.Problems)
		}
		// Who comes to share the cluster has it mended, which is not to keep it from
		// who has it, and is nothing to the next.
		a := testAsk(t, 1)
		a.Shared = true
		first := mustLease(t, o, a)
		talk(first.Info().Nodes[0], "exit 4")
		ended()
		second := mustLease(t, o, a)
		check(t, "shared", mustRelease(t, first).Problems, "exit status 4", "started again")
		if r := mustRelease(t, second); len(r.Problems) > 0 {
			t.Errorf("it ended before this lease: %+v", r.Problems)
		}
		if r := mustRelease(t, mustLease(t, o, a)); len(r.Problems) > 0 {
			t.Errorf("it ended before that lease: %+v", r.Problems)
		}
	})
}

// kill9 kills a process, as a stranger would.
// TestUnnoticedTogether: all who share a node are told that it has ended, although
// one of them has seen it, and another one has had it started again.
func TestUnnoticedTogether(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		a := testAsk(t, 1)
		a.Shared = true
		sees, sleeps := mustLease(t, o, a), mustLease(t, o, a)
		kill9(t, sees.Info().Nodes[0].PID)
		eventually(t, func() string {
			errs, err := sees.Health(t.Context())
			if err == nil && errs[0] == nil {
				return "the node is healthy"
			}
			return ""
		})
		comes := mustLease(t, o, a)
		eventually(t, func() string {
			if errs, err := sees.Health(t.Context()); err != nil || errs[0] != nil {
				return fmt.Sprintf("Health() = %v, %v", errs, err)
			}
			return ""
		})
		for who, l := range map[string]Lease{"sees": sees, "sleeps": sleeps} {
			p := mustRelease(t, l).Problems
			if len(p) != 1 || p[0].Diagnosis.Code != diagnostics.NodeExitUnnoticed || !p[0].Fails || !strings.Contains(p[0].Diagnosis.Error(), "signal: killed") {
				t.Errorf("%s: problems: %+v", who, p)
			}
		}
		if p := mustRelease(t, comes).Problems; len(p) > 0 {
			t.Errorf("before it came: %+v", p)
		}
	})
}

func kill9(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// TestStray: what has left its node's process group ends with the lease.
func TestStray(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		l := mustLease(t, o, testAsk(t, 1))
		pid := mustTalk(t, l.Info().Nodes[0], "stray")
		act(t, l, 0, Kill)
		if r := mustRelease(t, l); len(r.Left) != 1 || !strings.Contains(r.Left[0], "process "+pid) {
			t.Errorf("left %q, want process %s", r.Left, pid)
		}
	})
}

// TestAbandoned: whoever does not wait any more is told who was in the way, and
// is in nobody's way.
func TestAbandoned(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		l := mustLease(t, o, testAsk(t, 1))
		announced := make(chan string, 1)
		impatient := testAsk(t, 1)
		impatient.Who = "the impatient one"
		ctx, cancel := context.WithCancel(t.Context())
		impatient.Announce = func(reason string) {
			announced <- reason
			cancel()
		}
		_, err := o.Lease(ctx, impatient)
		if code(err) != diagnostics.ClusterBusy {
			t.Errorf("Lease() = %v", err)
		}
		select {
		case reason := <-announced:
			if !strings.Contains(reason, "is leased: "+t.Name()+" has had it for") {
				t.Errorf("announced: %s", reason)
			}
		case <-time.After(patience):
			t.Error("nothing was announced")
		}
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err = o.Lease(ctx, impatient)
		if d := (*diagnostics.Diagnosis)(nil); code(err) != diagnostics.ClusterBusy || errors.As(err, &d) && !strings.Contains(d.Error(), t.Name()+" has had it for") {
			t.Errorf("Lease() = %v", err)
		}
		eventually(t, waitingFor(k, 0))
		mustRelease(t, l)
		mustRelease(t, mustLease(t, o, testAsk(t, 1)))
	})
}

// TestStartFails: without one node there is no cluster, and whoever was next
// tries anew.
func TestStartFails(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		broken := filepath.Join(t.TempDir(), "broken")
		a := testAsk(t, 3)
		a.Program.Env["DIST_TEST_BROKEN"] = broken
		if err := os.WriteFile(broken, []byte("node-2"), 0o600); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err := o.Lease(t.Context(), a)
		if err == nil || !strings.Contains(diagnosed(err), "broken on purpose") {
			t.Errorf("Lease() = %v", err)
		}
		if d := time.Since(begin); d > patience/2 {
			t.Errorf("it took %v", d)
		}
		if infos := k.Clusters(); len(infos)+len(k.list()) > 0 {
			t.Errorf("clusters: %+v", infos)
		}
		os.Remove(broken)
		l := mustLease(t, o, a)
		if l.Info().Reused {
			t.Error("what had not started is reused")
		}
	})
}

func diagnosed(err error) string {
	return faultText(faultOf(err))
}

func faultText(f *fault) string {
	if d := diagnosisOf(f.Diagnosis); d != nil {
		return d.Error()
	}
	return f.Text
}

// TestAbandonedStart: a start that its lease gives up leaves nothing, and the
// next lease has a cluster.
func TestAbandonedStart(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		a := testAsk(t, 2)
		a.Program.Env["DIST_TEST_SLOW"] = "1h"
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := o.Lease(ctx, a)
			done <- err
		}()
		eventually(t, func() string {
			infos := k.Clusters()
			if len(infos) == 1 && infos[0].Nodes[0].Log != "" {
				return ""
			}
			return "the start has not begun"
		})
		cancel()
		if err := <-done; err == nil {
			t.Error("there is a lease")
		}
		eventually(t, func() string {
			if n := len(k.list()); n > 0 {
				return fmt.Sprintf("%d clusters are left", n)
			}
			return ""
		})
		a.Start = 100 * time.Millisecond
		if _, err := o.Lease(t.Context(), a); err == nil {
			t.Error("there is a lease")
		}
		delete(a.Program.Env, "DIST_TEST_SLOW")
		a.Start = patience
		mustLease(t, o, a)
	})
}

// TestDown: a cluster is ended on demand, but not under somebody's hands.
func TestDown(t *testing.T) {
	home(t)
	s, k := serve(t, Options{Kind: "dist test"})
	c := dial(t, s.File())
	l := mustLease(t, c, testAsk(t, 1))
	other := testAsk(t, 2)
	i, err := k.Up(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := c.Down(t.Context(), []string{l.Info().ID, "kv-77"}, false)
	if err != nil || len(ended) != 1 || ended[0].Refused != "leased to TestDown" {
		t.Errorf("Down() = %+v, %v", ended, err)
	}
	ended, err = c.Down(t.Context(), nil, false)
	if err != nil || len(ended) != 2 {
		t.Errorf("Down() = %+v, %v", ended, err)
	}
	if infos := k.Clusters(); len(infos) != 1 || infos[0].ID == i.ID {
		t.Errorf("left: %+v", infos)
	}
	ended, err = c.Down(t.Context(), []string{l.Info().ID}, true)
	if err != nil || len(ended) != 1 || ended[0].Refused != "" {
		t.Errorf("Down() = %+v, %v", ended, err)
	}
	if st, err := l.State(t.Context(), 0); err != nil || st.Up || st.Reason != "stopped: its cluster has ended" {
		t.Errorf("State() = %+v, %v", st, err)
	}
	if _, err := l.Act(t.Context(), 0, Restart); code(err) != diagnostics.ClusterGone {
		t.Errorf("a node of a cluster that has ended is restarted: %v", err)
	}
	mustRelease(t, l)
	if _, err := os.Stat(l.Info().Nodes[0].Dir); err == nil {
		t.Error("its files are still there")
	}
	mustRelease(t, mustLease(t, c, testAsk(t, 1))) // another one
}

// reasonOf has s serve, and gets why it has ended.
func reasonOf(t *testing.T, s *Server) <-chan string {
	served := make(chan string, 1)
	go func() {
		reason, err := s.Serve(t.Context())
		if err != nil {
			t.Error(err)
		}
		served <- reason
	}()
	return served
}

// TestDownLast: whoever keeps clusters up has no more to do without any.
func TestDownLast(t *testing.T) {
	dir := home(t)
	e := process.New()
	k := New(e)
	s, err := Listen(k, Options{Kind: "dist up", Open: true})
	if err != nil {
		t.Fatal(err)
	}
	served := reasonOf(t, s)
	if _, err := k.Up(t.Context(), testAsk(t, 1)); err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.File())
	if ended, err := c.Down(t.Context(), nil, false); err != nil || len(ended) != 1 || ended[0].Refused != "" {
		t.Errorf("Down() = %+v, %v", ended, err)
	}
	if reason := <-served; reason != "its last cluster has been ended" {
		t.Errorf("Serve() = %q", reason)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	e.Close()
}

// TestDownBeside: the last cluster of an owner is the last that ends, not the last
// that somebody wanted to end.
func TestDownBeside(t *testing.T) {
	home(t)
	e := process.New()
	k := New(e)
	s, err := Listen(k, Options{Kind: "dist up", Open: true})
	if err != nil {
		t.Fatal(err)
	}
	served := reasonOf(t, s)
	mayEnd := filepath.Join(t.TempDir(), "may end")
	a := testAsk(t, 1)
	a.Program.Env["DIST_TEST_LINGER"] = mayEnd
	slow, err := k.Up(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	quick, err := k.Up(t.Context(), testAsk(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.File())
	type result struct {
		ended []Ended
		err   error
	}
	down := make(chan result, 1)
	go func() {
		ended, err := dial(t, s.File()).Down(t.Context(), []string{slow.ID}, false)
		down <- result{ended, err}
	}()
	eventually(t, func() string {
		if len(k.Clusters()) == 2 {
			return "the end of " + slow.ID + " has not begun"
		}
		return ""
	})
	if ended, err := c.Down(t.Context(), []string{quick.ID}, false); err != nil || len(ended) != 1 || ended[0].Refused != "" {
		t.Errorf("Down() = %+v, %v", ended, err)
	}
	if _, err := c.offers(t.Context()); err != nil {
		t.Errorf("the owner has ended with a node that runs: %v", err)
	}
	if err := os.WriteFile(mayEnd, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-down; r.err != nil || len(r.ended) != 1 || r.ended[0].Refused != "" {
		t.Errorf("Down() = %+v, %v", r.ended, r.err)
	}
	if reason := <-served; reason != "its last cluster has been ended" {
		t.Errorf("Serve() = %q", reason)
	}
	if _, err := os.Stat(slow.Nodes[0].Dir); err == nil {
		t.Error("its files are still there")
	}
	e.Close()
}

// TestIdleLeased: an owner does not end as long as somebody has a cluster.
func TestIdleLeased(t *testing.T) {
	home(t)
	e := process.New()
	defer e.Close()
	k := New(e)
	s, err := Listen(k, Options{Kind: "dist up", Open: true, Idle: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l := mustLease(t, k, testAsk(t, 1)) // before it begins to wait
	served := reasonOf(t, s)
	select {
	case reason := <-served:
		t.Fatalf("it ended: %s", reason)
	case <-time.After(500 * time.Millisecond): // that nothing happens has no other sign
	}
	mustRelease(t, l)
	if reason := <-served; !strings.HasPrefix(reason, "nobody has had a cluster") {
		t.Errorf("Serve() = %q", reason)
	}
}

// TestClose ends a Keeper under everybody's hands.
func TestClose(t *testing.T) {
	bothWays(t, func(t *testing.T, o Owner, k *Keeper) {
		l := mustLease(t, o, testAsk(t, 2))
		waits := make(chan error, 1)
		go func() {
			_, err := o.Lease(t.Context(), testAsk(t, 2))
			waits <- err
		}()
		eventually(t, waitingFor(k, 1))
		starts := make(chan error, 1)
		go func() {
			a := testAsk(t, 3)
			a.Program.Env["DIST_TEST_SLOW"] = "1h"
			_, err := o.Lease(t.Context(), a)
			starts <- err
		}()
		eventually(t, func() string {
			if len(k.Clusters()) == 2 {
				return ""
			}
			return "the start has not begun"
		})
		k.Close(t.Context())
		for _, c := range []chan error{waits, starts} {
			if err := <-c; code(err) != diagnostics.ClusterGone {
				t.Errorf("a lease that is waited for: %v", err)
			}
		}
		for _, n := range l.Info().Nodes {
			if syscall.Kill(n.PID, 0) == nil {
				t.Errorf("%s still runs", n.Name)
			}
		}
		if _, err := l.Act(t.Context(), 0, Restart); code(err) != diagnostics.ClusterGone {
			t.Errorf("Restart: %v", err)
		}
		mustRelease(t, l)
		if _, err := o.Lease(t.Context(), testAsk(t, 2)); code(err) != diagnostics.ClusterGone {
			t.Errorf("Lease() = %v", err)
		}
	})
}

// TestFind looks for owners as a test binary does.
func TestFind(t *testing.T) {
	home(t)
	up, upKeeper := serve(t, Options{Kind: "dist up", Open: true})
	run, _ := serve(t, Options{Kind: "dist test"})
	f := &Finder{}
	defer f.Close()
	find := func(a Ask) Found {
		t.Helper()
		found, err := f.Find(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := find(testAsk(t, 2)); found.Owner != nil || len(found.Passed) > 0 {
		t.Errorf("with nothing up: %+v", found)
	}
	i, err := upKeeper.Up(t.Context(), testAsk(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	found := find(testAsk(t, 2))
	if found.Owner == nil || found.Kind != "dist up" || found.Ask.Cluster != i.ID {
		t.Fatalf("with what fits: %+v", found)
	}
	l := mustLease(t, found.Owner, found.Ask)
	if l.Info().ID != i.ID {
		t.Errorf("leased: %+v", l.Info())
	}
	small := find(testAsk(t, 3))
	if small.Owner != nil || !slices.Equal(small.Passed, []string{"cluster " + i.ID + " is up and is not used: too small: 2 nodes, 3 asked for"}) {
		t.Errorf("with what is too small: %+v", small)
	}
	f.Run = run.File()
	if found := find(testAsk(t, 3)); found.Owner == nil || found.Kind != "dist test" || found.Ask.Cluster != "" || len(found.Passed) != 1 {
		t.Errorf("with an owner of the run: %+v", found)
	} else if l := mustLease(t, found.Owner, found.Ask); len(l.Info().Nodes) != 3 {
		t.Errorf("leased: %+v", l.Info())
	}
	a := testAsk(t, 3)
	a.Cluster = i.ID
	if _, err := f.Find(t.Context(), a); code(err) != diagnostics.ClusterUnfit || !strings.Contains(err.Error(), "too small") {
		t.Errorf("one in particular that is too small: %v", err)
	}
	if a.Cluster = "kv-77"; true {
		if _, err := f.Find(t.Context(), a); code(err) != diagnostics.ClusterGone {
			t.Errorf("one in particular that is not there: %v", err)
		}
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := f.Find(late, testAsk(t, 2)); err != nil || code(found.Err) != diagnostics.ClusterGone || len(found.Passed) != 1 {
		t.Errorf("an owner that does not answer in time: %+v, %v", found, err)
	}
	up.Close()
	run.Close()
	if found := find(testAsk(t, 2)); found.Owner != nil || len(found.Passed) != 1 || !strings.Contains(found.Passed[0], "the owner of this run's clusters cannot be asked") {
		t.Errorf("when all have ended: %+v", found)
	}
	if _, err := l.State(t.Context(), 0); code(err) != diagnostics.ClusterGone {
		t.Errorf("State() of a cluster whose owner has ended: %v", err)
	}
	if _, err := l.Release(t.Context()); code(err) != diagnostics.ClusterGone {
		t.Errorf("Release() of a cluster whose owner has ended: %v", err)
	}
}

// TestBuild: another build of the same program is not leased.
func TestBuild(t *testing.T) {
	home(t)
	_, k := serve(t, Options{Kind: "dist up", Open: true})
	self, err := os.ReadFile(testProgram().Command[0])
	if err != nil {
		t.Fatal(err)
	}
	a := testAsk(t, 1)
	program := filepath.Join(t.TempDir(), "program")
	a.Program.Command = []string{program}
	if err := os.WriteFile(program, self, 0o700); err != nil {
		t.Fatal(err)
	}
	i, err := k.Up(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	f := &Finder{}
	defer f.Close()
	if found, err := f.Find(t.Context(), a); err != nil || found.Ask.Cluster != i.ID {
		t.Errorf("Find() = %+v, %v", found, err)
	}
	os.Remove(program)
	if err := os.WriteFile(program, append(self, 'x'), 0o700); err != nil {
		t.Fatal(err)
	}
	if found, err := f.Find(t.Context(), a); err != nil || found.Owner != nil || len(found.Passed) != 1 || !strings.HasSuffix(found.Passed[0], "another build of the program") {
		t.Errorf("Find() = %+v, %v", found, err)
	}
}
