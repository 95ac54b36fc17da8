//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/manager"
)

const good = "^Test(Plain|Three|Two|Parallel.)$"

func TestSuite(t *testing.T) {
	if _, err := Suite.Path(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		env    string
		args   []string
		status int
		want   []string
	}{
		{"nothing started for what needs nothing", "", []string{"-test.run=Plain"}, 0, nil},
		{"nothing started for what is skipped", "", []string{"-test.run=Plain|Three", "-test.skip=Three"}, 0, nil},
		{"nothing started for a list", "", []string{"-test.list=."}, 0, []string{"TestThree"}},
		{"verbose", "", []string{"-test.run=Three", "-test.v"}, 0, []string{`cluster \w+-1: started node-1 \(pid \d+\), node-2`, `\(3 nodes, by the test\)`}},
		{"count and shuffle", "", []string{"-test.run=" + good, "-test.skip=Plain", "-test.count=5", "-test.shuffle=on", "-test.parallel=4"}, 0, nil},
		{"one at a time", "", []string{"-test.run=" + good, "-test.skip=Plain", "-test.parallel=1", "-test.cpu=1,2"}, 0, nil},
		{"distinct ports", "DIST_NETWORK_ADDRESSES=ports", []string{"-test.run=Two|Hostile"}, 0, nil},
		{"log of a failed test", "", []string{"-test.run=Failing"}, 1, []string{"(?s)as intended.*node-2's last log lines:\n.*node-2 \\| the reason is in the log"}},
		{"failfast", "", []string{"-test.run=Failing|NodeLeaves$", "-test.failfast"}, 1, []string{`FAIL: TestFailing`, `!NodeLeaves`}},
		{"node that leaves", "", []string{"-test.run=NodeLeaves$"}, 1, []string{`DIST-NODE-EXIT-UNNOTICED`, `exit status 5`, `leaving behind the test's back`}},
		{"node that leaves and is restarted", "", []string{"-test.run=NodeLeavesAndRestarts"}, 1, []string{`DIST-NODE-EXIT-UNNOTICED`, `exit status 5`, `leaving behind the test's back`, `it was restarted by the test afterwards`, `!exit status 6`}},
		{"node that leaves and is missed", "", []string{"-test.run=NodeLeavesAndIsMissed"}, 0, nil},
		{"cleanup that panics", "", []string{"-test.run=CleanupPanics"}, 1, []string{`no way to clean up`}},
		{"cleanup that exits", "", []string{"-test.run=CleanupExits"}, 1, []string{`DIST-NODE-EXIT-UNNOTICED`, `exit status 0`, `before all of its cleanups had run`, `leaving with nothing cleaned up`}},
		{"second Require", "", []string{"-test.run=Again"}, 1, []string{`!FAIL: TestAgain/sub`, `FAIL: TestAgain/conflict`, `DIST-USE-CONFLICT`, `suite_test.go:\d+`}},
		{"too large", "DIST_CLUSTER_MAX_NODES=2", []string{"-test.run=TooLarge"}, 1, []string{`DIST-SIZE-MAX-NODES`, `DIST_CLUSTER_MAX_NODES=2`, `remedy: +set DIST_CLUSTER_MAX_NODES=\d+, or unset it`, `!raise max_nodes in`}},
		{"too large, by CI", "CI=true DIST_CI_MAX_NODES=2", []string{"-test.run=TooLarge"}, 1, []string{`DIST-SIZE-CI`}},
		{"too large for this machine", "DIST_RESOURCES_MAX_NODES_ON_MACHINE=2", []string{"-test.run=TooLarge"}, 1, []string{`DIST-SIZE-MACHINE`}},
		{"reduced", "DIST_CLUSTER_MAX_NODES=2", []string{"-test.run=Reduced", "-test.v"}, 0, []string{`2 of 6 nodes`}},
		{"not reduced", "DIST_CLUSTER_MAX_NODES=2 DIST_FALLBACK_REDUCE=false", []string{"-test.run=Reduced"}, 1, []string{`DIST-SIZE-MAX-NODES`}},
		{"optional", "DIST_CLUSTER_MAX_NODES=2", []string{"-test.run=Optional", "-test.v"}, 0, []string{`SKIP: TestOptional`, `the test is optional`}},
		{"unavailable skips", "DIST_CLUSTER_MAX_NODES=2 DIST_FALLBACK_UNAVAILABLE=skip", []string{"-test.run=TooLarge", "-test.v"}, 0, []string{`SKIP: TestTooLarge`}},
		{"off", "DIST_CLUSTER_MODE=off", []string{"-test.run=" + good, "-test.v"}, 0, []string{`SKIP: TestThree`, `DIST-MODE-OFF`, `PASS: TestPlain`}},
		{"manual", "DIST_CLUSTER_MODE=manual", []string{"-test.run=Three"}, 1, []string{`DIST-MODE-MANUAL`}},
		{"short", "DIST_CLUSTER_SHORT=skip", []string{"-test.run=" + good, "-test.short", "-test.v"}, 0, []string{`SKIP: TestThree`, `DIST-MODE-SHORT`, `PASS: TestPlain`}},
		{"short runs by default", "", []string{"-test.run=Three", "-test.short", "-test.v"}, 0, []string{`PASS: TestThree`}},
		{"wrong configuration", "DIST_CLUSTER_MAX_NODES=0", []string{"-test.run=Three"}, 1, []string{`DIST-CONFIG-INVALID`, `DIST_CLUSTER_MAX_NODES`}},
		{"far too many", "DIST_CLUSTER_MAX_NODES=100000", []string{"-test.run=Three"}, 1, []string{`DIST-CONFIG-INVALID`, `4096`}},
		{"mistakes", "", []string{"-test.run=Mistakes"}, 1, []string{`closure: .*DIST-USE-CLOSURE`, `method value: .*DIST-USE-METHOD-VALUE`, `unregistered: .*DIST-USE-UNREGISTERED`, `channel: .*DIST-USE-VALUE`, `Addrs\("nowhere"\)`, `Addr\("nowhere"\)`}},
		{"mistakes about the network", "", []string{"-test.run=NetworkMistakes"}, 1, []string{
			`partition node-1,node-2: all nodes are in one group`, `node-1 is in two groups`, `isolate: the node is nil`, `cut node-1 → node-1: a node has no link to itself`,
			`lose packets of node-1 → node-2: packet loss is unsupported here: .* "links"`, `lose packets of node-1 → node-2: the part that is lost is from 0 to 1, not 1.5`, `delay node-1 → node-2: .* not negative`, `slow down node-1 ↔ node-2: .* not negative`, `link: the node is nil`, `!no error`}},
		{"past the links", "", []string{"-test.run=NetworkPast"}, 1, []string{`isolate node-1: node-1 has a connection to node-2 that goes past the links: .*ListenAddr`, `!no error`}},
		{"another cluster's node", "", []string{"-test.run=NetworkForeign"}, 1, []string{`isolate: node-1 is a node of another cluster`}},
		{"network without ports", "", []string{"-test.run=NetworkNoPorts"}, 1, []string{`isolate node-1: the nodes have no ports: .* ports=`}},
		{"network fault that nobody saw coming", "", []string{"-test.run=NetworkUnseen"}, 1, []string{`isolate node-1: the cluster was not prepared for network faults: run go generate`, `!no error`}},
		{"no nodes that are of no use", "DIST_NETWORK_FAULTS=namespaces", []string{"-test.run=NetworkSpares", "-test.v"}, 0, []string{`network faults by namespaces`, `0 processes with no cluster`, `4 processes for 3 nodes`, `4 processes in the end`}},
		{"networks that are gone", "DIST_NETWORK_FAULTS=namespaces", []string{"-test.run=NetworkGone"}, 1, []string{`isolate node-1: cut: the process that has the nodes' networks has ended`, `!no error`}},
		{"network fault by name", "", []string{"-test.run=NetworkSeen", "-test.v"}, 0, []string{`network faults by links`}},
		{"network faults by namespaces, and one address", "DIST_NETWORK_FAULTS=namespaces DIST_NETWORK_ADDRESSES=ports", []string{"-test.run=NetworkSeen"}, 1, []string{`isolate node-1: a fault between nodes is unsupported here: .* "namespaces", .* share an address`}},
		{"before Parallel", "", []string{"-test.run=BeforeParallel"}, 1, []string{`DIST-USE-PARALLEL`, `suite_test.go:\d+`}},
		{"seeds", "", []string{"-test.run=FuzzSeeds", "-test.v"}, 0, []string{`PASS: FuzzSeeds/seed#1`}},
		{"fuzzing, with more workers than there is room for", "DIST_RESOURCES_MAX_NODES_ON_MACHINE=3", []string{"-test.run=^$", "-test.fuzz=FuzzSeeds", "-test.fuzztime=20x", "-test.parallel=3", "-test.fuzzcachedir=fuzz", "-test.timeout=60s"}, 0, []string{`fuzz: elapsed`, `PASS`}},
		{"inside Fuzz", "", []string{"-test.run=FuzzInside"}, 1, []string{`DIST-USE-FUZZ`}},
		{"benchmark", "", []string{"-test.run=^$", "-test.bench=Call", "-test.benchtime=20x", "-test.count=2"}, 0, []string{`BenchmarkCall.*ns/op`}},
		{"panic", "SUITE_PANIC=1", []string{"-test.run=Hang"}, 2, []string{`the test panics`}},
		{"timeout", "", []string{"-test.run=Hang", "-test.timeout=8s"}, 2, []string{`test timed out after 8s`}},
		{"deadline too near", "", []string{"-test.run=Three", "-test.timeout=1s"}, 1, []string{`DIST-TIME-DEADLINE`}},
		{"flags in two words", "", []string{"-test.run", "Plain", "-test.v"}, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(test.env, "DIST_NETWORK_FAULTS=namespaces") && !strings.Contains(test.env, "DIST_NETWORK_ADDRESSES=ports") {
				needNamespaces(t)
			}
			NewRun(t, Suite, test.env, test.args...).Check(t, test.status, test.want...)
		})
	}
	t.Run("race on a node", func(t *testing.T) {
		if !manager.RaceEnabled {
			t.Skip("needs -race")
		}
		NewRun(t, Suite, "", "-test.run=^TestRace$").Check(t, 1, `DIST-NODE-RACE`, `WARNING: DATA RACE`, `suite.race`)
		NewRun(t, Suite, "", "-test.run=RaceThenKill").Check(t, 1, `DIST-NODE-RACE`, `suite.race`)
	})
}

// The test binary itself fails to start as a node, some of the time.
func TestFallbacks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		flaky  string
		env    string
		args   []string
		status int
		want   []string
	}{
		// Spares that are dead before they are asked for are replaced without a
		// word: more have to fail than there are.
		{"tried again", "first:4", "", []string{"-test.run=TestThree", "-test.v"}, 0, []string{
			`(?s)cluster \S+: started .*a start had failed: .*\[DIST-NODE-EXIT-EARLY\], tried again after \d+ms.*PASS: TestThree`}},
		{"too often", "first:1000", "", []string{"-test.run=TestThree"}, 1, []string{
			`node-1, like 2 others, exited before it answered \(exit status 9\)   \[DIST-NODE-EXIT-EARLY\]`, `the same on node-2, node-3`, `!try 1`,
			`is one of those that fail`, `instead: +tried 4 times, \d+ms, \d+ms, \d+m?s apart`}},
		{"reduced", "after:3", "DIST_FALLBACK_RETRIES=1", []string{"-test.run=TestPartOfFour", "-test.v"}, 0, []string{
			`3 of 4 nodes: .*\[DIST-NODE-EXIT-EARLY\]; the test bears 2`, `a start had failed`}},
		{"not reduced", "after:3", "DIST_FALLBACK_RETRIES=0 DIST_FALLBACK_REDUCE=false", []string{"-test.run=TestPartOfFour", "-test.v"}, 1, []string{
			`node-\d exited before it answered`, `!tried`}},
		{"not below min", "after:1", "DIST_FALLBACK_RETRIES=0", []string{"-test.run=TestPartOfFour", "-test.v"}, 1, []string{
			`like 2 others, exited`}},
		{"optional", "first:1000", "DIST_FALLBACK_RETRIES=1", []string{"-test.run=TestOptional", "-test.v"}, 0, []string{
			`SKIP: TestOptional`, `tried 2 times, \d+ms apart; skipped, because the test is optional`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			env := "SUITE_FLAKY=" + t.TempDir() + ":" + test.flaky + " " + test.env
			NewRun(t, Suite, env, test.args...).Check(t, test.status, test.want...)
		})
	}
}

// A node that is killed just before its test ends may have gone or be about to
// when it is asked to stop. The test hears of it all the same.
func TestKilledAtTheEnd(t *testing.T) {
	t.Parallel()
	const times = 30
	out := NewRun(t, Suite, "", "-test.run=KilledAtTheEnd", "-test.v", fmt.Sprintf("-test.count=%d", times)).Check(t, 1, `DIST-NODE-EXIT-UNNOTICED`, `signal: killed`)
	// Where the node is slow to kill itself, it has stopped before.
	if n := strings.Count(out, "--- FAIL: TestKilledAtTheEnd"); n < times/2 {
		t.Errorf("%d of %d failed\n%s", n, times, out)
	}
}

// A node that is killed just before it is restarted, likewise: each of the tests
// hears of it.
func TestKilledBeforeRestart(t *testing.T) {
	t.Parallel()
	const times = 10
	out := NewRun(t, Suite, "", "-test.run=KilledBeforeRestart", "-test.v", fmt.Sprintf("-test.count=%d", times)).Check(t, 1, `DIST-NODE-EXIT-UNNOTICED`, `signal: killed`)
	if n := strings.Count(out, "--- FAIL: TestKilledBeforeRestart"); n != times {
		t.Errorf("%d of %d failed\n%s", n, times, out)
	}
}

// What keeps many tests from having a cluster is told whole by one of them.
func TestToldOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, env string
		args      []string
		status    int
		whole     int // how many tests tell all
		short     int
	}{
		{"failed", "DIST_CLUSTER_MAX_NODES=1", []string{"-test.run=Parallel.$|TestTwo", "-test.parallel=4"}, 1, 1, 3},
		{"again and again", "DIST_CLUSTER_MAX_NODES=1", []string{"-test.run=TestTwo", "-test.count=5"}, 1, 1, 4},
		{"skipped", "DIST_CLUSTER_MODE=off", []string{"-test.run=Parallel.$|TestTwo|Three", "-test.v"}, 0, 1, 4},
		{"some skipped", "DIST_CLUSTER_MAX_NODES=2", []string{"-test.run=TooLarge|Optional", "-test.count=2", "-test.v"}, 1, 1, 3},
		{"bad configuration", "DIST_CLUSTER_MAX_NODES=many", []string{"-test.run=" + good}, 1, 1, 4},
	} {
		out := NewRun(t, Suite, test.env, test.args...).Check(t, test.status)
		whole, short := strings.Count(out, "remedy: "), strings.Count(out, "told in full by Test")
		if whole != test.whole || short != test.short {
			t.Errorf("%s: %d tell all, %d refer to them, want %d and %d\n%s", test.name, whole, short, test.whole, test.short, out)
		}
	}
}

// Three nodes that fail for one cause are one diagnosis, and so are a node that
// crashes and two that lose their connection to it.
func TestOneCause(t *testing.T) {
	t.Parallel()
	out := NewRun(t, Suite, "", "-test.run=TestOneCrash").Check(t, 1,
		`dist: cannot call suite.meet on node-1: node-1 panicked`,
		`cause: +the first of them`,
		`followed: call suite.meet on node-2: .*(EOF|reset)`,
	)
	if n := strings.Count(out, "DIST-NODE-"); n != 1 {
		t.Errorf("%d diagnoses\n%s", n, out)
	}
}

// Before -timeout ends the test binary the nodes are asked what they do.
func TestHungNodes(t *testing.T) {
	for _, test := range []struct {
		name string
		env  string
		args []string
		want []string
	}{
		{"told", "SUITE_DEAF=1", []string{"-test.timeout=15s"}, []string{
			`node-2 \(pid \d+\) does not answer \(\w+, \d+ threads, \S+ of processor time\); its stacks were had by SIGQUIT:\n +call suite.deafen on node-2 has not returned`,
		}},
		{"told with -v", "", []string{"-test.timeout=6s", "-test.v"}, []string{`(?m)^ +\w+.go:\d+: dist: TestStuck has not ended`}},
		{"not kept", "DIST_ARTIFACTS_KEEP=never", []string{"-test.timeout=6s"}, []string{`not kept: keep = "never"`, `!all goroutines: `}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := NewRun(t, Suite, "GODEBUG=asyncpreemptoff=1 "+test.env, append(test.args, "-test.run=TestStuck")...)
			out := r.Check(t, 2, append(test.want,
				`panic: test timed out after `,
				`dist: TestStuck has not ended, [\d.]+m?s before -timeout ends the test binary`,
				`node-1 \(pid \d+\) answers:\n +call suite.block on node-1 has not returned for [\d.]+s\n +suite.block is at .+suite_test.go:\d+ \[chan receive\], in suite.waitForever`,
				`node-3 \(pid \d+\) was paused by the test and does not answer:\n +call suite.block on node-3 has not returned`,
				`node-4 \(pid \d+\) answers; no call is running on it`,
			)...)
			runs, _ := filepath.Glob(filepath.Join(r.Cache, "dist", "artifacts", "dist-*"))
			if strings.HasPrefix(test.name, "not") {
				if len(runs) > 0 {
					t.Errorf("kept: %q", runs)
				}
				return
			}
			m := regexp.MustCompile(`all goroutines: (.*)`).FindStringSubmatch(out)
			if len(runs) != 1 || m == nil || filepath.Dir(m[1]) != runs[0] || !strings.Contains(out, "dist: artifacts: "+runs[0]) {
				t.Fatalf("%q is kept; told: %q", runs, m)
			}
			stacks, err := os.ReadFile(m[1])
			if err != nil {
				t.Fatal(err)
			}
			wants := []string{"suite.waitForever", "===== node-2"}
			if test.name == "told" {
				wants = append(wants, "SIGQUIT: quit")
			}
			for _, want := range wants {
				if !strings.Contains(string(stacks), want) {
					t.Errorf("no %q in the file:\n%s", want, stacks)
				}
			}
		})
	}
}

// A node that does not stop at the end of its lease says where it is.
func TestHungAtTheEnd(t *testing.T) {
	t.Parallel()
	r := NewRun(t, Suite, "DIST_CLUSTER_STOP_TIMEOUT=500ms", "-test.run=CleanupBlocks")
	out := r.Check(t, 1, `DIST-NODE-HUNG`, `node-2 \(pid \d+\) answers`, `a cleanup is at .+suite_test.go:\d+ \[chan receive\], in suite.waitForever`, `!node-1 does not`)
	if m := regexp.MustCompile(`all goroutines: (.*)`).FindStringSubmatch(out); m == nil {
		t.Error("no file")
	} else if _, err := os.Stat(m[1]); err != nil {
		t.Error(err)
	}
}

// watched are the processes that TestHang tells of, held by pidfds.
func (r *Run) watched(t *testing.T) (pids, fds []int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		b, err := os.ReadFile(r.PIDs)
		if err == nil {
			if err := json.Unmarshal(b, &pids); err != nil {
				t.Fatal(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the suite does not get to hang\n%s", r.Out.String())
		}
		time.Sleep(time.Millisecond)
	}
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatalf("process %d: %v", pid, err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		fds = append(fds, fd)
	}
	return pids, fds
}

// allGone fails if a process is still there after a second: the kernel ends
// them. The one that has left its node's process group takes the reaper, which
// has to be scheduled, and may take longer on a busy machine.
func allGone(t *testing.T, pids, fds []int) {
	t.Helper()
	const stray = 1 // see TestHang
	for i, fd := range fds {
		within := time.Second
		if i == stray {
			within = 30 * time.Second
		}
		deadline := time.Now().Add(within)
		n, err := 0, error(unix.EINTR)
		for err == unix.EINTR {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(0, int(time.Until(deadline).Milliseconds())))
		}
		if err != nil || n == 0 {
			t.Errorf("process %d of %v is still there after %v", pids[i], pids, within)
			unix.Kill(pids[i], unix.SIGKILL)
		}
	}
}

// Nodes (one of them stopped), a child in a node's process group and one in a
// session of its own: none outlives the test binary.
func TestKillTestBinary(t *testing.T) {
	r := NewRun(t, Suite, "", "-test.run=Hang")
	r.Start(t)
	pids, fds := r.watched(t)
	r.Cmd.Process.Kill()
	allGone(t, pids, fds)
	r.Clean(t)
}

// The same if it is only the go command that is killed.
func TestKillGoCommand(t *testing.T) {
	r := Prepare(t, "", exec.Command("go", "test", "-run=Hang", "."))
	r.Start(t)
	pids, fds := r.watched(t)
	r.Cmd.Process.Kill()
	allGone(t, pids, fds)
	r.Clean(t)
}

// A binary that is run by hand and loses its parent goes on.
func TestDetachedBinaryGoesOn(t *testing.T) {
	bin, err := Suite.Path()
	if err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(t.TempDir(), "status")
	r := Prepare(t, "", exec.Command("sh", "-c", `("$0" -test.run=Three; echo $? > "$1") >/dev/null 2>&1 &`, bin, done))
	if err := r.Cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if b, err := os.ReadFile(done); err == nil && len(b) > 0 {
			if strings.TrimSpace(string(b)) != "0" {
				t.Errorf("exit status %s", b)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the binary has not ended")
		}
		time.Sleep(time.Millisecond)
	}
	r.Clean(t)
}

// ^C at the terminal reaches the foreground process group, of which nodes are
// no part. They go all the same.
func TestInterrupt(t *testing.T) {
	if signal.Ignored(os.Interrupt) {
		t.Skip("whoever runs this has SIGINT ignored, as shells do in the background: so do all below")
	}
	r := NewRun(t, Suite, "", "-test.run=Hang")
	r.Start(t)
	pids, fds := r.watched(t)
	r.Cmd.Process.Signal(os.Interrupt)
	allGone(t, pids, fds)
	r.Clean(t)
}

func TestFuzzing(t *testing.T) {
	r := Prepare(t, "", exec.Command("go", "test", "-run=^$", "-fuzz=FuzzSeeds", "-fuzztime=20x", "-parallel=2", "."))
	r.Check(t, 0, `PASS`)
}

// Lines that ran on nodes only are counted.
func TestCoverage(t *testing.T) {
	for _, mode := range []string{"set", "atomic"} {
		profile := filepath.Join(t.TempDir(), "cover.out")
		r := Prepare(t, "", exec.Command("go", "test", "-run=Three|Seeds", "-covermode="+mode, "-coverprofile="+profile, "."))
		r.Check(t, 0, `coverage: [1-9][0-9.]*% of statements`)
		b, err := os.ReadFile(profile)
		if err != nil {
			t.Fatal(err)
		}
		ran := 0
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, "suite.go:") && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
				ran++
			}
		}
		if ran < 3 { // both branches of OnlyOnNodes, and its condition
			t.Errorf("%s: %d blocks of what runs on nodes are covered:\n%s", mode, ran, b)
		}
	}
}

// Four at once do not get in each other's way.
func TestFourAtOnce(t *testing.T) {
	cache, tmp := t.TempDir(), t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		r := NewRun(t, Suite, "XDG_CACHE_HOME="+cache+" TMPDIR="+tmp, "-test.run="+good, "-test.skip=Plain", "-test.count=3")
		wg.Go(func() { r.Check(t, 0) })
	}
	wg.Wait()
	(&Run{Cache: cache, Tmp: tmp}).Clean(t)
}
