//go:build linux

package observed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/e2e"
	"github.com/distkit/dist/runtime/manager"
)

// observe runs go test in testdata/observed.
func observe(t *testing.T, env string, args ...string) *e2e.Run {
	t.Helper()
	if manager.RaceEnabled {
		args = append([]string{"-race"}, args...)
	}
	r := e2e.Prepare(t, env, exec.Command("go", append([]string{"test", "-count=1"}, args...)...))
	r.Cmd.Dir = "../../testdata/observed"
	return r
}

// ran reports whether a function of package observed has run, by a profile.
func ran(t *testing.T, profile, function string) bool {
	t.Helper()
	src, err := os.ReadFile("../../testdata/observed/observed.go")
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(src), "func "+function+"(")
	if !ok {
		t.Fatalf("no function %s", function)
	}
	line := strings.Count(before, "\n") + 1
	m := regexp.MustCompile(fmt.Sprintf(`observed\.go:%d\.\S+ \d+ (\d+)\n`, line)).FindAllStringSubmatch(profile, -1)
	if m == nil {
		t.Fatalf("%s is not in the profile:\n%s", function, profile)
	}
	for _, m := range m {
		if m[1] != "0" {
			return true
		}
	}
	return false
}

// Lines that ran on nodes count, however the nodes ended, or it is said that
// they do not. The mode makes a difference to what is written, not to when.
func TestCoverageOfNodes(t *testing.T) {
	for _, mode := range []string{"set", "count", "atomic"} {
		if manager.RaceEnabled && mode != "atomic" {
			continue // go test does not let it
		}
		for _, test := range []struct {
			test, function string
			counts         bool
			want           string
		}{
			{"TestRetired", "Retired", true, `!is lost`},
			{"TestStopped", "Stopped", true, `!is lost`},
			{"TestRestarted", "Restarted", true, `!is lost`},
			{"TestReused", "Reused", true, `!is lost`},
			{"TestKilled", "Killed", true, `!is lost`},
			{"TestKilledPaused", "KilledPaused", false, `coverage of node-1 \(pid \d+\) is lost: .* signal: killed`},
			{"TestCrashed", "Crashed", false, `coverage of node-1 \(pid \d+\) is lost: .* exit status 2`},
		} {
			if mode != "atomic" && test.test != "TestRetired" && test.test != "TestKilled" {
				continue
			}
			t.Run(mode+"/"+test.function, func(t *testing.T) {
				t.Parallel()
				profile := filepath.Join(t.TempDir(), "cover.out")
				r := observe(t, "", "-v", "-run=^"+test.test+"$", "-covermode="+mode, "-coverpkg=.,github.com/distkit/dist/testdata/observed", "-coverprofile="+profile)
				r.Check(t, 0, `coverage: `, test.want)
				b, err := os.ReadFile(profile)
				if err != nil {
					t.Fatal(err)
				}
				if got := ran(t, string(b), test.function); got != test.counts {
					t.Errorf("%s counts: %v, want %v", test.function, got, test.counts)
				}
			})
		}
	}
}

// What Go's test makes of the directory leaves out all executables but its own.
func TestCoverageOfPrograms(t *testing.T) {
	for _, test := range []struct {
		test   string
		counts bool
		want   string
	}{
		{"TestProgram", true, `!is lost`},
		{"TestProgramDeaf", false, `coverage of node-1 \(pid \d+\) is lost: deaf writes it when main returns`},
	} {
		t.Run(test.test, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			observe(t, "", "-v", "-cover", "-run=^"+test.test+"$", "-args", "-test.gocoverdir="+dir).Check(t, 0, test.want)
			out, err := exec.Command("go", "tool", "covdata", "textfmt", "-i="+dir, "-o=/dev/stdout").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got := ran(t, string(out), "Served"); got != test.counts {
				t.Errorf("Served counts: %v, want %v\n%s", got, test.counts, out)
			}
		})
	}
}

// A race fails the test that caused it, with the race detector's report.
func TestRaces(t *testing.T) {
	if !manager.RaceEnabled {
		t.Skip("needs -race")
	}
	for _, test := range []string{"TestRaceRunning", "TestRaceKilled", "TestRaceRestarted", "TestRaceReused", "TestProgramRace", "TestProgramRaceKilled"} {
		t.Run(test, func(t *testing.T) {
			t.Parallel()
			out := observe(t, "", "-v", "-run=^"+test+"$").Check(t, 1, `DIST-NODE-RACE`, `WARNING: DATA RACE`, `observed\.Race`, `observed\.go:\d+`, `!FAIL: \S+/innocent`)
			if strings.Contains(out, "/guilty") && !strings.Contains(out, "FAIL: "+test+"/guilty") {
				t.Errorf("another test is charged with it:\n%s", out)
			}
		})
	}
}

// The facts of a test's cluster are attributes of the test.
func TestAttributes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env    string
		status int
		want   map[string]string // expressions
	}{
		{"", 0, map[string]string{"dist.cluster": `^\w+-1$`, "dist.nodes": `^1$`, "dist.outcome": `^start$`, "dist.reason": `^1 node, by the test`, "dist.backend": `^process$`}},
		{"DIST_ARTIFACTS_KEEP=always", 0, map[string]string{"dist.cluster": `1`, "dist.nodes": `1`, "dist.outcome": `start`, "dist.reason": `test`, "dist.backend": `process`, "dist.artifacts": `[/\\]dist-\d+-\d+-\S+$`}},
		{"DIST_CLUSTER_MODE=off", 0, map[string]string{"dist.outcome": `^skip$`, "dist.reason": `off`, "dist.code": `^DIST-MODE-OFF$`}},
		{"DIST_CLUSTER_MODE=manual", 1, map[string]string{"dist.outcome": `^fail$`, "dist.reason": `manual`, "dist.code": `^DIST-MODE-MANUAL$`, "dist.artifacts": `[/\\]dist-\d+-\d+-\S+$`}},
	} {
		r := observe(t, test.env, "-json", "-run=^TestRetired$")
		r.Cmd.Stderr = nil
		r.Check(t, test.status)
		got := make(map[string]string)
		for dec := json.NewDecoder(bytes.NewReader(r.Out.Bytes())); dec.More(); {
			var e struct{ Action, Test, Key, Value string }
			if err := dec.Decode(&e); err != nil {
				t.Fatalf("not JSON: %v\n%s", err, r.Out.String())
			}
			if e.Action == "attr" && e.Test == "TestRetired" {
				got[e.Key] = e.Value
			}
		}
		for key, expr := range test.want {
			if !regexp.MustCompile(expr).MatchString(got[key]) {
				t.Errorf("%s: %s is %q, want %q", test.env, key, got[key], expr)
			}
		}
		if dir := got["dist.artifacts"]; dir != "" {
			if h := e2e.Recorded(t, filepath.Join(dir, "events.jsonl")).Header; h.Within != fmt.Sprintf("go-test-%d", r.Cmd.Process.Pid) {
				t.Errorf("%s: dist.artifacts: %+v, of go test %d", test.env, h, r.Cmd.Process.Pid)
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: attributes %q, want %q", test.env, got, test.want)
		}
	}
}

// Profiles that go test is asked for are of the nodes, too.
func TestProfiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := observe(t, "OBSERVED_KILL=1", "-v", "-run=^Test(Profiled|Restarted)$", "-o", filepath.Join(dir, "observed.test"), "-outputdir="+dir,
		"-cpuprofile=cpu.out", "-memprofile=mem.out", "-blockprofile=block.out", "-mutexprofile=mutex.out", "-trace=trace.out")
	r.Check(t, 0, `profiles of node-2 \(pid \d+\) are lost: .* signal: killed`)
	for _, file := range []string{
		"cpu.TestProfiled.node-1.out", "mem.TestProfiled.node-1.out", "block.TestProfiled.node-1.out", "mutex.TestProfiled.node-1.out",
		"cpu.TestRestarted.node-1.out", "cpu.TestRestarted.node-1-2.out",
	} {
		readable(t, filepath.Join(dir, file))
	}
	if out := readable(t, filepath.Join(dir, "cpu.TestProfiled.node-1.out")); !strings.Contains(out, "observed.Spin") {
		t.Errorf("nobody has seen it spin:\n%s", out)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "trace.TestProfiled.node-1.out")); err != nil || !bytes.HasPrefix(b, []byte("go 1.")) {
		t.Errorf("no trace: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cpu.TestProfiled.node-2.out")); err == nil {
		t.Error("there is one of the killed node")
	}
}

// readable is what go tool pprof makes of a profile.
func readable(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", file).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", file, err, out)
	}
	return string(out)
}

// Nodes can be looked into while they run.
func TestInspected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	observe(t, "OBSERVED_DIR="+dir, "-v", "-run=^TestInspected").Check(t, 0, `PASS`)
	for _, name := range []string{"cpu", "heap", "goroutine", "block", "mutex"} {
		out := readable(t, filepath.Join(dir, name))
		if name == "cpu" && !strings.Contains(out, "observed.Spin") || name == "goroutine" && !strings.Contains(out, "dist/runtime.leadNodesLife") {
			t.Errorf("%s has not seen it:\n%s", name, out)
		}
	}
}

// debuggee builds testdata/observed with what debuggers need.
func debuggee(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "observed.test")
	args := []string{"test", "-c", "-gcflags=all=-N -l", "-o", bin}
	if manager.RaceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "../../testdata/observed")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// A debugged is a run of testdata/observed that waits for a debugger, without a
// terminal to say so on.
type debugged struct {
	*e2e.Run
	t    *testing.T
	said string // file
	at   int    // of it that has been read
}

func debug(t *testing.T, bin, env string, args ...string) *debugged {
	t.Helper()
	d := &debugged{Run: e2e.Prepare(t, env, exec.Command(bin, append([]string{"-test.v", "-test.timeout=0"}, args...)...)), t: t, said: filepath.Join(t.TempDir(), "out")}
	f, err := os.Create(d.said)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d.Cmd.Dir = "../../testdata/observed"
	d.Cmd.Stdout, d.Cmd.Stderr = f, f
	d.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	d.Start(t)
	return d
}

// says waits until the run has printed what an expression matches, after what it
// matched last, and returns the group in it.
func (d *debugged) says(expr string) string {
	d.t.Helper()
	re := regexp.MustCompile(expr)
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(d.said)
		if err != nil {
			d.t.Fatal(err)
		}
		if m := re.FindSubmatchIndex(b[d.at:]); m != nil {
			at := d.at
			d.at += m[1]
			return string(b[at+m[2] : at+m[3]])
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("it does not say %q:\n%s", expr, b)
		}
	}
}

// ends waits for the end of the run.
func (d *debugged) ends(status int) {
	d.t.Helper()
	d.Cmd.Wait()
	if got := d.Cmd.ProcessState.ExitCode(); got != status {
		b, _ := os.ReadFile(d.said)
		d.t.Errorf("exit status %d, want %d\n%s", got, status, b)
	}
	d.Clean(d.t)
}

// delve runs commands of Delve and returns what it prints.
func delve(t *testing.T, commands string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(file, []byte(commands), 0o600); err != nil {
		t.Error(err) // not Fatal: some do this in a goroutine
		return ""
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "dlv", append(args, "--allow-non-terminal-interactive", "--init="+file)...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Errorf("dlv %s has not ended: %v\n%s", args, err, out)
	}
	return string(out)
}

const stopThere = "break observed.Retired\ncontinue\nprint n+41\nclear 1\n"

// A node that is to be debugged waits, stops at a breakpoint, and goes on.
func TestDebugger(t *testing.T) {
	dlv, err := exec.LookPath("dlv")
	if err != nil {
		t.Skip("needs dlv: go install github.com/go-delve/delve/cmd/dlv@v1.27.2")
	}
	bin := debuggee(t)
	stopped := func(t *testing.T, out string) {
		t.Helper()
		if !regexp.MustCompile(`(?s)Breakpoint 1.*observed\.Retired.*\n42\n`).MatchString(out) {
			t.Errorf("it has not stopped there:\n%s", out)
		}
	}
	const connect = `(?s)node-2 of TestDebugged \(pid \d+\) is stopped under Delve.*?dlv connect (127\.0\.0\.1:\d+)\n`
	t.Run("by dist", func(t *testing.T) {
		t.Parallel()
		// No timeout of ours is any longer than this.
		d := debug(t, bin, "DIST_DEBUG=node-2 DIST_CLUSTER_START_TIMEOUT=1ms DIST_CLUSTER_STOP_TIMEOUT=1ms", "-test.run=^TestDebugged$")
		addr := d.says(connect)
		stopped(t, delve(t, stopThere+"continue\n", "connect", addr))
		d.says(`(PASS): TestDebugged`)
		d.ends(0)
	})
	t.Run("restarted and killed", func(t *testing.T) {
		t.Parallel()
		d := debug(t, bin, "DIST_DEBUG=node-2 OBSERVED_RESTART=1", "-test.run=^TestDebugged$")
		for range 3 {
			addr := d.says(connect)
			go delve(t, "continue\n", "connect", addr)
			d.says(`(goes on)`)
		}
		d.says(connect) // restarted again
		d.Cmd.Process.Kill()
		d.ends(-1)
	})
	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		d := debug(t, bin, "DIST_DEBUG=node-2 PATH=/nonexistent", "-test.run=^TestDebugged$")
		pid := d.says(`(?s)waits for a debugger.*?dlv attach (\d+)\n`)
		stopped(t, delve(t, stopThere+"continue\n", "attach", pid))
		d.says(`(PASS): TestDebugged`)
		d.ends(0)
	})
	t.Run("without debug information", func(t *testing.T) {
		t.Parallel()
		stripped := filepath.Join(t.TempDir(), "stripped.test")
		if out, err := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", stripped, "../../testdata/observed").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		d := debug(t, stripped, "DIST_DEBUG=node-2 PATH="+filepath.Dir(dlv), "-test.run=^TestDebugged$")
		addr := d.says(connect)
		d.says(`(give it -o FILE)`)
		delve(t, "continue\n", "connect", addr)
		d.ends(0)
	})
	t.Run("without leave", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "dlv"), []byte("#!/bin/sh\necho could not attach: operation not permitted\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		d := debug(t, bin, "DIST_DEBUG=node-2 PATH="+dir, "-test.run=^TestDebugged$")
		d.says(`debug node-2: (dlv attach \d+ has ended without listening)`)
		d.says(`(could not attach: operation not permitted)`)
		d.says(`(ptrace_scope)`)
		d.ends(1)
	})
	t.Run("no such node", func(t *testing.T) {
		t.Parallel()
		d := debug(t, bin, "DIST_DEBUG=node-7", "-test.run=^TestDebugged$")
		d.says(`(TestDebugged has no node-7: its cluster has 2 nodes)`)
		d.ends(0)
		d = debug(t, bin, "DIST_DEBUG=2", "-test.run=^TestDebugged$")
		d.says(`(DIST_DEBUG=2: "2" is no node's name)`)
		d.ends(1)
	})
}
