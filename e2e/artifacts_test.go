//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/artifacts"
	"github.com/distkit/dist/runtime/events"
)

// kept are the runs of which artifacts are there.
func (r *Run) kept(t *testing.T) []artifacts.Run {
	t.Helper()
	runs, err := artifacts.Runs(filepath.Join(r.Cache, "dist", "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// A test that fails names the directory in which everything is that is known.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	r := NewRun(t, Suite, "SOME_TOKEN=hunter2 DIST_ARTIFACTS_DIRS=true", "-test.run=TestFailing|TestOneCrash|TestTwo")
	out := r.Check(t, 1)
	runs := r.kept(t)
	named := regexp.MustCompile(`(?m)^ +\S+: dist: artifacts: (.*)$`).FindAllStringSubmatch(out, -1)
	if len(runs) != 1 || len(named) != 2 || named[0][1] != runs[0].Dir || named[1][1] != runs[0].Dir {
		t.Fatalf("kept are %v, named %q\n%s", runs, named, out)
	}
	if !strings.Contains(out, "dist: artifacts: "+runs[0].Dir+"\n--- FAIL: TestOneCrash") {
		t.Errorf("the directory is not the last that a test says\n%s", out)
	}
	dir := runs[0].Dir
	text := make(map[string]string)
	for _, file := range []string{"events.jsonl", "merged.log", "facts.json", "TestFailing.node-2.log", "TestFailing.stacks.txt", "TestOneCrash.node-1.log", "TestOneCrash.stacks.txt"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(b, []byte("hunter2")) {
			t.Errorf("%s has a secret of the environment in it", file)
		}
		text[file] = string(b)
	}
	if text["TestFailing.node-2.log"] != "the reason is in the log\n" {
		t.Errorf("the log is %q", text["TestFailing.node-2.log"])
	}
	if !regexp.MustCompile(`(?m)^\[\d+\.\d{3}ms node-2\] the reason is in the log$`).MatchString(text["merged.log"]) {
		t.Errorf("the merged log is\n%s", text["merged.log"])
	}
	for _, want := range []string{"===== node-1", "goroutine "} {
		if !strings.Contains(text["TestFailing.stacks.txt"], want) {
			t.Errorf("no %q in the stacks", want)
		}
	}
	var facts struct {
		Limits   []string
		Settings []struct{ Key, Value, Source string }
	}
	if err := json.Unmarshal([]byte(text["facts.json"]), &facts); err != nil {
		t.Error(err)
	}
	if len(facts.Limits) == 0 || !slices.ContainsFunc(facts.Settings, func(s struct{ Key, Value, Source string }) bool {
		return s.Key == "artifacts.dirs" && s.Value == "true" && s.Source == "DIST_ARTIFACTS_DIRS"
	}) {
		t.Errorf("facts: %+v", facts)
	}
	rec := Recorded(t, runs[0].Events)
	if rec.Bad > 0 {
		t.Errorf("%d bad lines", rec.Bad)
	}
	count := make(map[events.Kind]int)
	for _, e := range rec.Events {
		count[e.Kind]++
		switch {
		case e.Kind == events.Lease && len(e.Nodes) != e.Size,
			e.Kind == events.Start && (e.Outcome != events.OK || e.PID == 0 || e.Dur == 0 || e.Cluster == ""),
			e.Kind == events.Exit && (e.PID == 0 || e.Node == ""),
			e.Kind == events.CallDone && (e.Test == "" || e.Node == "" || e.What == "" || e.Outcome == ""):
			t.Errorf("%+v", e)
		}
		if e.Kind == events.Exit && e.Outcome == events.Crashed && (e.Test != "TestOneCrash" || e.Node != "node-1") {
			t.Errorf("%+v", e)
		}
	}
	for kind, least := range map[events.Kind]int{events.Decision: 3, events.Lease: 3, events.Test: 3, events.Start: 7, events.Exit: 7, events.CallDone: 4, events.Log: 2, events.Diagnose: 1, events.Print: 3, events.Run: 1} {
		if count[kind] < least {
			t.Errorf("%d events of kind %s, want %d", count[kind], kind, least)
		}
	}
	if last := rec.Events[len(rec.Events)-1]; last.Kind != events.Run || last.Outcome != events.Failed {
		t.Errorf("the last event is %+v", last)
	}
}

func TestKeep(t *testing.T) {
	for _, test := range []struct {
		keep, tests string
		status      int
		kept        bool
	}{
		{"never", "TestFailing", 1, false},
		{"failed", "TestFailing", 1, true},
		{"always", "TestFailing", 1, true},
		{"never", "TestTwo", 0, false},
		{"failed", "TestTwo", 0, false},
		{"always", "TestTwo", 0, true},
		{"always", "TestPlain", 0, false}, // no test that needs a cluster is selected
	} {
		t.Run(test.keep+" "+test.tests, func(t *testing.T) {
			t.Parallel()
			r := NewRun(t, Suite, "DIST_ARTIFACTS_KEEP="+test.keep, "-test.run=^"+test.tests+"$", "-test.v")
			told := "dist: artifacts: "
			if !test.kept {
				told = "!" + told
			}
			out := r.Check(t, test.status, told)
			if named := strings.Contains(out, "=== ATTR  "+test.tests+" dist.artifacts "); named != test.kept {
				t.Errorf("an attribute names the directory: %v\n%s", named, out)
			}
			if runs := r.kept(t); (len(runs) == 1) != test.kept {
				t.Errorf("kept: %v", runs)
			}
		})
	}
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		r := NewRun(t, Suite, "DIST_CLUSTER_MODE=off DIST_ARTIFACTS_KEEP=always", "-test.run=^TestTwo$")
		r.Check(t, 0)
		if runs := r.kept(t); len(runs) > 0 {
			t.Errorf("kept: %v", runs)
		}
	})
	t.Run("often", func(t *testing.T) {
		t.Parallel()
		r := NewRun(t, Suite, "", "-test.run=^TestTwo$", "-test.count=30")
		r.Check(t, 0)
		if runs := r.kept(t); len(runs) > 0 {
			t.Errorf("kept: %v", runs)
		}
	})
}

// A panic takes the test binary with it, but not what is known.
func TestArtifactsOfAPanic(t *testing.T) {
	t.Parallel()
	r := NewRun(t, Suite, "SUITE_PANIC=1", "-test.run=^TestHang$")
	r.Cmd.Run()
	runs := r.kept(t)
	if len(runs) != 1 || !strings.Contains(r.Out.String(), "dist: artifacts: "+runs[0].Dir) {
		t.Fatalf("%v\n%s", runs, &r.Out)
	}
	for _, file := range []string{"merged.log", "facts.json", "TestHang.stacks.txt"} {
		if _, err := os.Stat(filepath.Join(runs[0].Dir, file)); err != nil {
			t.Error(err)
		}
	}
	rec := Recorded(t, runs[0].Events)
	if last := rec.Events[len(rec.Events)-1]; rec.Bad > 0 || !slices.ContainsFunc(rec.Events, func(e events.Event) bool { return e.Kind == events.Test && e.Outcome == events.Failed }) {
		t.Errorf("%d bad lines, the last event is %+v", rec.Bad, last)
	}
}

// What was going on is there also when the test process is killed.
func TestEventsOfTheKilled(t *testing.T) {
	t.Parallel()
	r := NewRun(t, Suite, "", "-test.run=^TestStuck$", "-test.v")
	r.Start(t)
	pending := func(rec *events.Record) (calls int) {
		for _, e := range rec.Events {
			if e.Kind == events.Call && e.What == "suite.block" && e.ID != 0 {
				calls++
			}
		}
		return calls
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if runs := r.kept(t); len(runs) == 1 && runs[0].Events != "" {
			if rec, err := events.Open(runs[0].Events); err == nil && pending(rec) == 2 {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the calls that wait are not in the events")
		}
	}
	r.Cmd.Process.Kill()
	r.Cmd.Wait()
	runs := r.kept(t)
	rec := Recorded(t, runs[0].Events)
	kinds := make(map[events.Kind]int)
	for _, e := range rec.Events {
		kinds[e.Kind]++
		if e.Kind == events.Fault && (e.What != "pause" || e.Node != "node-3" || e.Outcome != events.OK) {
			t.Errorf("%+v", e)
		}
	}
	if pending(rec) != 2 || kinds[events.Start] != 4 || kinds[events.Fault] != 1 || kinds[events.Test] != 0 || rec.Bad > 0 {
		t.Errorf("%v, %d bad lines", kinds, rec.Bad)
	}
}

// That nothing can be kept is no reason to fail, and is told where something is
// missing.
func TestNothingCanBeKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a file": file, "nobody can write there": "/proc/dist"} {
		t.Run(name, func(t *testing.T) {
			env := "DIST_ARTIFACTS_KEEP=always"
			good := NewRun(t, Suite, env, "-test.run=^TestTwo$")
			good.Cmd.Env = append(good.Cmd.Env, "DIST_ARTIFACTS_DIR="+dir)
			good.Check(t, 0)
			bad := NewRun(t, Suite, env, "-test.run=^TestFailing$")
			bad.Cmd.Env = append(bad.Cmd.Env, "DIST_ARTIFACTS_DIR="+dir)
			bad.Check(t, 1, "as intended", `dist: no artifacts: keep artifacts: mkdir`)
		})
	}
}
