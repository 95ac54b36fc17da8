//go:build linux

package dist_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/distkit/dist/runtime/manager"
)

// observe runs go test in testdata/observed.
func observe(t *testing.T, env string, args ...string) *run {
	t.Helper()
	if manager.RaceEnabled {
		args = append([]string{"-race"}, args...)
	}
	r := prepare(t, env, exec.Command("go", append([]string{"test", "-count=1"}, args...)...))
	r.cmd.Dir = "testdata/observed"
	return r
}

// ran reports whether a function of package observed has run, by a profile.
func ran(t *testing.T, profile, function string) bool {
	t.Helper()
	src, err := os.ReadFile("testdata/observed/observed.go")
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
// they do not.
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
			t.Run(mode+"/"+test.function, func(t *testing.T) {
				t.Parallel()
				profile := filepath.Join(t.TempDir(), "cover.out")
				r := observe(t, "", "-v", "-run=^"+test.test+"$", "-covermode="+mode, "-coverpkg=.,github.com/distkit/dist/testdata/observed", "-coverprofile="+profile)
				r.check(t, 0, `coverage: `, test.want)
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
			observe(t, "", "-v", "-cover", "-run=^"+test.test+"$", "-args", "-test.gocoverdir="+dir).check(t, 0, test.want)
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
			out := observe(t, "", "-v", "-run=^"+test+"$").check(t, 1, `DIST-NODE-RACE`, `WARNING: DATA RACE`, `observed\.Race`, `observed\.go:\d+`, `!FAIL: \S+/innocent`)
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
		{"DIST_CLUSTER_MODE=off", 0, map[string]string{"dist.outcome": `^skip$`, "dist.reason": `off`, "dist.code": `^DIST-MODE-OFF$`}},
		{"DIST_CLUSTER_MODE=manual", 1, map[string]string{"dist.outcome": `^fail$`, "dist.reason": `manual`, "dist.code": `^DIST-MODE-MANUAL$`}},
	} {
		r := observe(t, test.env, "-json", "-run=^TestRetired$")
		r.cmd.Stderr = nil
		r.check(t, test.status)
		got := make(map[string]string)
		for dec := json.NewDecoder(bytes.NewReader(r.out.Bytes())); dec.More(); {
			var e struct{ Action, Test, Key, Value string }
			if err := dec.Decode(&e); err != nil {
				t.Fatalf("not JSON: %v\n%s", err, r.out.String())
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
	r.check(t, 0, `profiles of node-2 \(pid \d+\) are lost: .* signal: killed`)
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
	observe(t, "OBSERVED_DIR="+dir, "-v", "-run=^TestInspected").check(t, 0, `PASS`)
	for _, name := range []string{"cpu", "heap", "goroutine", "block", "mutex"} {
		out := readable(t, filepath.Join(dir, name))
		if name == "cpu" && !strings.Contains(out, "observed.Spin") || name == "goroutine" && !strings.Contains(out, "dist/runtime.leadNodesLife") {
			t.Errorf("%s has not seen it:\n%s", name, out)
		}
	}
}
