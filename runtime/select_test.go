package runtime

import (
	"strings"
	"testing"

	"github.com/distkit/dist/requirement"
)

func TestTopLevel(t *testing.T) {
	for _, test := range []struct {
		pattern string
		whole   bool
		matches string // names
		not     string
	}{
		{"", false, "", ""},
		{"Leader", false, "TestLeader", "TestOther"},
		{"^TestA$/sub", false, "TestA", "TestAB"},
		{"TestA/x|TestB/y", false, "TestA TestB", "TestC"},
		{"Test(A|B)/x", false, "TestA TestB", "TestC"},
		{"Test[A|/]x", false, "TestAx Test/x", "TestBx"},
		{"TestA", true, "TestA", "TestB"},
		{"TestA/sub", true, "", "TestA"}, // -skip of a subtest leaves the test
		{"TestA/sub|TestB", true, "TestB", "TestA"},
	} {
		re := topLevel(test.pattern, test.whole)
		for _, name := range strings.Fields(test.matches) {
			if re == nil || !re.MatchString(name) {
				t.Errorf("topLevel(%q, %v) does not match %s", test.pattern, test.whole, name)
			}
		}
		for _, name := range strings.Fields(test.not) {
			if re != nil && re.MatchString(name) {
				t.Errorf("topLevel(%q, %v) matches %s", test.pattern, test.whole, name)
			}
		}
	}
}

func TestForecast(t *testing.T) {
	tests := []requirement.Test{
		{Name: "TestA", Requirement: requirement.Requirement{Nodes: 3}},
		{Name: "TestB", Requirement: requirement.Requirement{Nodes: 5}},
		{Name: "BenchmarkC", Requirement: requirement.Requirement{Nodes: 2}},
		{Name: "TestD", Requirement: requirement.Requirement{Nodes: 9}},
	}
	size := func(t requirement.Test) int { return t.Requirement.Nodes }
	f := newForecast(selection{times: 1, skip: topLevel("TestD", true), bench: topLevel(".", false)}, tests)
	for _, step := range []struct {
		asks string
		next int
	}{
		{"", 5},
		{"TestA", 5},
		{"TestB/one", 5}, // there may be another subtest
		{"TestB/two", 5},
		{"BenchmarkC", 2}, // it runs again and again
		{"BenchmarkC", 2},
		{"TestX", 0},
	} {
		if step.asks != "" {
			f.asked(step.asks)
		}
		if got := f.next(size); got != step.next {
			t.Errorf("after %q: %d, want %d", step.asks, got, step.next)
		}
	}
	if f := newForecast(selection{times: 1, list: true}, tests); f.next(size) != 0 {
		t.Error("nodes for a list")
	}
	if f := newForecast(selection{times: 0}, tests); f.next(size) != 0 {
		t.Error("nodes for -count=0")
	}
}
