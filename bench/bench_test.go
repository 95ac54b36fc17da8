//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestLines measures every line once, for whether it can be measured at all.
// How long things take is no business of a test.
func TestLines(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts a test binary")
	}
	var names []string
	var measured []line
	large := regexp.MustCompile(`^start_(.*_)?(64|256)$`) // as those of 16
	for _, l := range lines {
		if l.inTree == nil && l.inSuite == nil && !large.MatchString(l.name) { // the others: TestTreeLines, TestSuiteLine
			names, measured = append(names, l.name), append(measured, l)
		}
	}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-json", "-rounds=1", "-package=standin", "-program=kv@testdata/programs", "-run=^(" + strings.Join(names, "|") + ")$"}, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	d := json.NewDecoder(&stdout)
	d.DisallowUnknownFields()
	for _, l := range measured {
		var r result
		if err := d.Decode(&r); err != nil {
			t.Fatalf("line %s: %v", l.name, err)
		}
		if r.Name != l.name || r.Unit != l.unit || r.Rounds != 1 {
			t.Errorf("got line %+v, want %s in %s, 1 round", r, l.name, l.unit)
		}
		if r.Value <= 0 || r.Floor <= 0 || r.Ratio <= 0 || r.Min > r.Value {
			t.Errorf("%s: value %g, floor %g, ratio %g, min %g: some of it was not measured", r.Name, r.Value, r.Floor, r.Ratio, r.Min)
		}
	}
	if err := d.Decode(new(result)); err != io.EOF {
		t.Errorf("after the last line: %v, want EOF", err)
	}
}

func TestSuiteLine(t *testing.T) {
	if testing.Short() {
		t.Skip("builds test binaries")
	}
	m, err := newManyTests(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer m.remove()
	s, err := measureSuite(t.Context(), m, 0)
	if err != nil || s.ours <= 0 || s.floor <= 0 {
		t.Errorf("got %+v, %v, want both measured", s, err)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // in the error, or on stderr
	}{
		{[]string{"-rounds=0"}, "usage: bench"},
		{[]string{"-run=("}, "usage: bench"},
		{[]string{"start_3"}, "usage: bench"},
		{[]string{"-nonsense"}, "not defined"},
		{[]string{"-run=nothing"}, `no line matches "nothing"`},
		{[]string{"-package=suite"}, "no test file has a TestMain"},
		{[]string{"-package=" + filepath.Join("no", "such")}, "no test file has a TestMain"},
	} {
		var stderr bytes.Buffer
		err := run(t.Context(), tt.args, io.Discard, &stderr)
		if err == nil {
			t.Errorf("bench %q succeeded", tt.args)
		} else if got := err.Error() + "\n" + stderr.String(); !strings.Contains(got, tt.want) {
			t.Errorf("bench %q: %s\nwant %q", tt.args, got, tt.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	ms := float64(time.Millisecond)
	l := line{name: "x", unit: "ms", goal: goal{ratio: 1.5}}
	r := summarize(l, []sample{{ours: 4 * ms, floor: 2 * ms}, {ours: 2 * ms, floor: 2 * ms}, {ours: 30 * ms, floor: 2.5 * ms}})
	if r.Value != 4 || r.Floor != 2 || r.Ratio != 2 || r.Min != 2 || *r.Met {
		t.Errorf("got %+v", r)
	}
	if want := [2]float64{3, 17}; r.ValueSpread != want {
		t.Errorf("quartiles %v, want %v", r.ValueSpread, want)
	}
	l.goal = goal{value: 5 * time.Millisecond}
	if r := summarize(l, []sample{{ours: 4 * ms, floor: ms}}); !*r.Met {
		t.Errorf("4 ms do not meet %q", r.Goal)
	}
	if got := round(123456); got != 123000 {
		t.Errorf("round(123456) = %v", got)
	}
}
