//go:build linux

package dist_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/manager"
)

// A run is one run of the suite, in a world of its own: whatever it leaves
// behind can be seen.
type run struct {
	cmd        *exec.Cmd
	cache, tmp string
	pids       string // file
	out        bytes.Buffer
}

// goCache is where what the go command has built is found again by one that has
// another XDG_CACHE_HOME.
var goCache = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	return strings.TrimSpace(string(out)), err
})

func newRun(t *testing.T, env string, args ...string) *run {
	t.Helper()
	return newRunOf(t, suite, env, args...)
}

func newRunOf(t *testing.T, b *binary, env string, args ...string) *run {
	t.Helper()
	bin, err := b.path()
	if err != nil {
		t.Fatal(err)
	}
	r := prepare(t, env, exec.Command(bin, args...))
	r.cmd.Dir = b.dir
	return r
}

func prepare(t *testing.T, env string, cmd *exec.Cmd) *run {
	t.Helper()
	r := &run{cmd: cmd, cache: t.TempDir(), tmp: t.TempDir()}
	r.pids = filepath.Join(r.cache, "pids")
	cmd.Dir = "testdata/suite"
	dir, err := goCache()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GOCACHE="+dir,
		"XDG_CACHE_HOME="+r.cache, "TMPDIR="+r.tmp, "SUITE_PIDS="+r.pids)
	// What this test run is under must not change what the suite does.
	for _, name := range []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI"} {
		cmd.Env = append(cmd.Env, name+"=")
	}
	cmd.Env = append(cmd.Env, strings.Fields(env)...)
	cmd.Stdout, cmd.Stderr = &r.out, &r.out
	return r
}

func (r *run) start(t *testing.T) {
	t.Helper()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill(); r.cmd.Wait() })
}

// clean fails if the run has left files.
func (r *run) clean(t *testing.T) {
	t.Helper()
	for _, dir := range []string{r.tmp, filepath.Join(r.cache, "dist", "runs"), filepath.Join(r.cache, "dist", "tests")} {
		for deadline := time.Now().Add(time.Minute); ; {
			left, _ := filepath.Glob(filepath.Join(dir, "*"))
			left = slices.DeleteFunc(left, func(s string) bool {
				name := filepath.Base(s)
				return strings.HasPrefix(name, "go-build") || // the go command's own
					strings.HasPrefix(name, "dist-runs-") || strings.HasPrefix(name, "dist-tests-") || strings.HasPrefix(name, "dist-allowance-") // where the next run looks, too
			})
			if len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("left behind: %q", left)
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// check runs the suite, and fails unless it exits as it should and prints what
// every expression matches.
func (r *run) check(t *testing.T, status int, want ...string) string {
	t.Helper()
	err := r.cmd.Run()
	out := r.out.String()
	if r.cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("exit status %d, want %d\n%s", got, status, out)
		return out
	}
	for _, w := range want {
		if not, ok := strings.CutPrefix(w, "!"); ok {
			if regexp.MustCompile(not).MatchString(out) {
				t.Errorf("output has %q\n%s", not, out)
			}
		} else if !regexp.MustCompile(w).MatchString(out) {
			t.Errorf("output does not have %q\n%s", w, out)
		}
	}
	r.clean(t)
	return out
}

const good = "^Test(Plain|Three|Two|Parallel.)$"

func TestSuite(t *testing.T) {
	if _, err := suite.path(); err != nil {
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
			newRun(t, test.env, test.args...).check(t, test.status, test.want...)
		})
	}
	t.Run("race on a node", func(t *testing.T) {
		if !manager.RaceEnabled {
			t.Skip("needs -race")
		}
		newRun(t, "", "-test.run=^TestRace$").check(t, 1, `DIST-NODE-RACE`, `WARNING: DATA RACE`, `suite.race`)
		newRun(t, "", "-test.run=RaceThenKill").check(t, 1, `DIST-NODE-RACE`, `suite.race`)
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
			newRun(t, env, test.args...).check(t, test.status, test.want...)
		})
	}
}

// A node that is killed just before its test ends may have gone or be about to
// when it is asked to stop. The test hears of it all the same.
func TestKilledAtTheEnd(t *testing.T) {
	t.Parallel()
	const times = 30
	out := newRun(t, "", "-test.run=KilledAtTheEnd", "-test.v", fmt.Sprintf("-test.count=%d", times)).check(t, 1, `DIST-NODE-EXIT-UNNOTICED`, `signal: killed`)
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
	out := newRun(t, "", "-test.run=KilledBeforeRestart", "-test.v", fmt.Sprintf("-test.count=%d", times)).check(t, 1, `DIST-NODE-EXIT-UNNOTICED`, `signal: killed`)
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
		out := newRun(t, test.env, test.args...).check(t, test.status)
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
	out := newRun(t, "", "-test.run=TestOneCrash").check(t, 1,
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
			r := newRun(t, "GODEBUG=asyncpreemptoff=1 "+test.env, append(test.args, "-test.run=TestStuck")...)
			out := r.check(t, 2, append(test.want,
				`panic: test timed out after `,
				`dist: TestStuck has not ended, [\d.]+m?s before -timeout ends the test binary`,
				`node-1 \(pid \d+\) answers:\n +call suite.block on node-1 has not returned for [\d.]+s\n +suite.block is at .+suite_test.go:\d+ \[chan receive\], in suite.waitForever`,
				`node-3 \(pid \d+\) was paused by the test and does not answer:\n +call suite.block on node-3 has not returned`,
				`node-4 \(pid \d+\) answers; no call is running on it`,
			)...)
			runs, _ := filepath.Glob(filepath.Join(r.cache, "dist", "artifacts", "dist-*"))
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
	r := newRun(t, "DIST_CLUSTER_STOP_TIMEOUT=500ms", "-test.run=CleanupBlocks")
	out := r.check(t, 1, `DIST-NODE-HUNG`, `node-2 \(pid \d+\) answers`, `a cleanup is at .+suite_test.go:\d+ \[chan receive\], in suite.waitForever`, `!node-1 does not`)
	if m := regexp.MustCompile(`all goroutines: (.*)`).FindStringSubmatch(out); m == nil {
		t.Error("no file")
	} else if _, err := os.Stat(m[1]); err != nil {
		t.Error(err)
	}
}

// watched are the processes that TestHang tells of, held by pidfds.
func (r *run) watched(t *testing.T) (pids, fds []int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		b, err := os.ReadFile(r.pids)
		if err == nil {
			if err := json.Unmarshal(b, &pids); err != nil {
				t.Fatal(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the suite does not get to hang\n%s", r.out.String())
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
	r := newRun(t, "", "-test.run=Hang")
	r.start(t)
	pids, fds := r.watched(t)
	r.cmd.Process.Kill()
	allGone(t, pids, fds)
	r.clean(t)
}

// The same if it is only the go command that is killed.
func TestKillGoCommand(t *testing.T) {
	r := prepare(t, "", exec.Command("go", "test", "-run=Hang", "."))
	r.start(t)
	pids, fds := r.watched(t)
	r.cmd.Process.Kill()
	allGone(t, pids, fds)
	r.clean(t)
}

// A binary that is run by hand and loses its parent goes on.
func TestDetachedBinaryGoesOn(t *testing.T) {
	bin, err := suite.path()
	if err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(t.TempDir(), "status")
	r := prepare(t, "", exec.Command("sh", "-c", `("$0" -test.run=Three; echo $? > "$1") >/dev/null 2>&1 &`, bin, done))
	if err := r.cmd.Run(); err != nil {
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
	r.clean(t)
}

// ^C at the terminal reaches the foreground process group, of which nodes are
// no part. They go all the same.
func TestInterrupt(t *testing.T) {
	if signal.Ignored(os.Interrupt) {
		t.Skip("whoever runs this has SIGINT ignored, as shells do in the background: so do all below")
	}
	r := newRun(t, "", "-test.run=Hang")
	r.start(t)
	pids, fds := r.watched(t)
	r.cmd.Process.Signal(os.Interrupt)
	allGone(t, pids, fds)
	r.clean(t)
}

func TestFuzzing(t *testing.T) {
	r := prepare(t, "", exec.Command("go", "test", "-run=^$", "-fuzz=FuzzSeeds", "-fuzztime=20x", "-parallel=2", "."))
	r.check(t, 0, `PASS`)
}

// Lines that ran on nodes only are counted.
func TestCoverage(t *testing.T) {
	for _, mode := range []string{"set", "atomic"} {
		profile := filepath.Join(t.TempDir(), "cover.out")
		r := prepare(t, "", exec.Command("go", "test", "-run=Three|Seeds", "-covermode="+mode, "-coverprofile="+profile, "."))
		r.check(t, 0, `coverage: [1-9][0-9.]*% of statements`)
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
		r := newRun(t, "XDG_CACHE_HOME="+cache+" TMPDIR="+tmp, "-test.run="+good, "-test.skip=Plain", "-test.count=3")
		wg.Go(func() { r.check(t, 0) })
	}
	wg.Wait()
	(&run{cache: cache, tmp: tmp}).clean(t)
}
