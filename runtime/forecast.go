package runtime

import (
	"strings"

	"github.com/distkit/dist/requirement"
)

// A forecast says how many nodes the tests that are still to come may need at
// once, so that they are started before anybody asks and not when nobody will.
type forecast struct {
	tests []requirement.Test // selected ones, in source order
	left  map[string]int     // how often each is still to run
	again string             // a test that may ask any number of times: it has subtests, or is a benchmark
}

func newForecast(s selection, tests []requirement.Test) *forecast {
	f := &forecast{left: make(map[string]int)}
	for _, t := range tests {
		if s.runs(t) {
			f.tests = append(f.tests, t)
			f.left[t.Name] += s.times
		}
	}
	return f
}

// asked notes that a test has asked for a cluster.
func (f *forecast) asked(test string) {
	top, _, sub := strings.Cut(test, "/")
	if f.again != "" && f.again != top {
		f.left[f.again]--
		f.again = ""
	}
	if sub || strings.HasPrefix(top, "Benchmark") {
		f.again = top
		return
	}
	f.left[top]--
}

// next is the most nodes that one of the remaining tests may ask for; size
// tells what a test's requirement comes to.
func (f *forecast) next(size func(requirement.Test) int) int {
	most := 0
	for _, t := range f.tests {
		if f.left[t.Name] > 0 {
			most = max(most, size(t))
		}
	}
	return most
}
