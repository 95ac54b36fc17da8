//go:build linux

package main

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// fixed are rounds that are the same every time, one for each adversity and more
// for the most frequent one. Of this seed they are short ones, one has a go
// command, and each kind of process is killed.
var fixed = torture{seed: 11194, inTurn: strings.Fields("none kill disk descriptors kill processes hog crowd kill"), rounds: 9, length: time.Hour}

// TestTorture is what there is time for at every change; go run ./torture is for
// longer. Where a change is decided about, the rounds are the same for all of them.
func TestTorture(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	torture := fixed
	if os.Getenv("CI") == "" {
		torture.seed, torture.inTurn, torture.rounds, torture.length = rand.Uint64(), nil, 0, 20*time.Second
	}
	torture.printf = t.Logf
	failed, err := torture.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if failed > 0 {
		t.Errorf("%d rounds found something; seed %d", failed, torture.seed)
	}
}

// The fixed rounds have of everything.
func TestFixed(t *testing.T) {
	seen := make(map[string]bool)
	for n, adversity := range fixed.inTurn {
		s := plan(fixed.seed, n, adversity)
		seen[s.Adversity], seen[s.Form], seen[s.Package] = true, true, true
		for _, k := range s.Kills {
			seen[k.Victim] = true
		}
	}
	for _, want := range append(strings.Fields("mix ownmain test node program reaper"), append(adversities, "binary", "go test")...) {
		if !seen[want] {
			t.Errorf("no round has %s", want)
		}
	}
	if fixed.rounds != len(fixed.inTurn) {
		t.Errorf("%d rounds of %d", fixed.rounds, len(fixed.inTurn))
	}
}

// A round is the same for the same seed and number, whatever ran before.
func TestPlan(t *testing.T) {
	seen := make(map[string]bool)
	for n := range 300 {
		s := plan(7, n, "")
		if again := plan(7, n, ""); s.String() != again.String() {
			t.Fatalf("round %d is %s, and then %s", n, s, again)
		}
		seen[s.Adversity], seen[s.Form], seen[s.Package] = true, true, true
		for _, k := range s.Kills {
			seen[k.Victim], seen[k.Signal] = true, true
		}
	}
	for _, want := range strings.Fields("none kill disk descriptors processes hog crowd binary mix ownmain test node program reaper go dist KILL TERM INT STOP") {
		if !seen[want] {
			t.Errorf("no round has %s", want)
		}
	}
}

// What a round is judged by must be able to fail.
func TestJudge(t *testing.T) {
	const pass, fail, skip = "=== RUN   TestOne\n--- PASS: TestOne (0.01s)\nPASS\n", "=== RUN   TestOne\n    x_test.go:1: %\n--- FAIL: TestOne (0.01s)\nFAIL\n", "=== RUN   TestOne\n    x_test.go:1: %\n--- SKIP: TestOne (0.01s)\nPASS\n"
	for _, test := range []struct {
		name      string
		adversity string
		ended     string
		out, says string
		want      string // "": nothing is wrong
	}{
		{"passed", "none", "", pass, "", ""},
		{"failed without a cause", "none", "", fail, "[DIST-NODE-SIGNAL]", "not for what was done"},
		{"failed for its cause", "kill", "node", fail, "[DIST-NODE-SIGNAL]", ""},
		{"failed for another one", "kill", "node", fail, "[DIST-DIR-FULL]", "not for what was done"},
		{"failed without a word", "kill", "node", fail, "it just did", "not for what was done"},
		{"failed for its cause, without a code", "kill", "program", fail, "pause node-1: the node is not running: signal: killed", "not for what was done"},
		{"wrong result", "kill", "node", fail, "WRONG: 1 is 2 [DIST-NODE-SIGNAL]", "wrong result"},
		{"no diagnosis", "disk", "", fail, "no space left on device [DIST-UNKNOWN]", "no diagnosis"},
		{"full disk", "disk", "", fail, "[DIST-DIR-FULL]", ""},
		{"skipped", "none", "", skip, "no cluster", "was skipped"},
		{"the test side panics", "none", "", pass + "panic: oh\n", "", "says panic: oh"},
		{"a race of the test side", "kill", "node", pass + "WARNING: DATA RACE\n", "", "DATA RACE"},
	} {
		got := judge(schedule{Adversity: test.adversity}, parse(strings.ReplaceAll(test.out, "%", test.says)), "", map[string]bool{test.ended: true})
		if text := strings.Join(got, "; "); (text == "") != (test.want == "") || !strings.Contains(text, test.want) {
			t.Errorf("%s: %q, want %q", test.name, text, test.want)
		}
	}
	o := []outcome{parse(pass)}
	if got := unbacked(o, "TestOne abc 2\n"); len(got) > 0 {
		t.Errorf("had its cluster: %q", got)
	}
	if got := unbacked(o, "TestTwo abc 2\n"); len(got) != 1 || !strings.Contains(got[0], "without its cluster") {
		t.Errorf("had none: %q", got)
	}
}
