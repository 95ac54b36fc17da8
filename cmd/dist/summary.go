package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/runtime"
)

// A summary is what became of the tests that need clusters, over all test
// binaries of a run. Its JSON form is documented in docs/dist.md.
type summary struct {
	Packages   int        `json:"packages"`             // with tests that need clusters
	Tests      int        `json:"tests"`                // that had a cluster, each run of a test counting
	Started    int        `json:"started"`              // nodes
	Reused     int        `json:"reused"`               // nodes
	Replaced   int        `json:"replaced"`             // nodes
	Retried    int        `json:"retried,omitempty"`    // starts
	Reduced    int        `json:"reduced,omitempty"`    // clusters
	Waited     int        `json:"waited,omitempty"`     // clusters, for room on this machine
	Over       int        `json:"overcommit,omitempty"` // clusters that had to be had although there was none
	P50        float64    `json:"ready_p50_ms"`         // wait for a cluster
	P95        float64    `json:"ready_p95_ms"`         //
	Skipped    []reasonOf `json:"skipped,omitempty"`    // tests
	Failed     []reasonOf `json:"failed,omitempty"`     // tests without a cluster
	Cached     []string   `json:"cached,omitempty"`     // packages that go test did not run again
	Unfinished []string   `json:"unfinished,omitempty"` // packages whose tests did not come to their end
	Unknown    []string   `json:"unknown,omitempty"`    // packages that were cached or could not be built

	Lost []lostCoverage `json:"lost_coverage,omitempty"` // processes

	Artifacts []kept `json:"artifacts,omitempty"` // directories with what is kept of runs

	refused []refusal // the tests that Skipped and Failed count
}

// A kept is where to look for what happened in a package.
type kept struct {
	Package string `json:"package"`
	Dir     string `json:"dir"`
}

// A lostCoverage is a process that has ended without writing its coverage.
type lostCoverage struct {
	Package string `json:"package"`
	Test    string `json:"test"`
	Text    string `json:"text"`
}

// A reasonOf is why tests had no cluster, and how many.
type reasonOf struct {
	Reason string `json:"reason"`
	Code   string `json:"code,omitempty"` // of the diagnosis
	Tests  int    `json:"tests"`
}

// summarize reads the reports in dir. Packages of which there is none have not
// been run: where go test was content it had their results from its cache.
func summarize(dir string, packages []*generator.Package, content bool) (*summary, error) {
	var s summary
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("find the reports of the tests: %w", err)
	}
	var waits []time.Duration
	reported := make(map[string]bool)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the report of a test binary: %w", err)
		}
		var r runtime.Report
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("read the report of a test binary: %w", err)
		}
		path := packagePath(r.Package, packages)
		reported[path] = true
		if !r.Ended && !slices.Contains(s.Unfinished, path) {
			s.Unfinished = append(s.Unfinished, path)
		}
		if r.Artifacts != "" {
			s.Artifacts = append(s.Artifacts, kept{path, r.Artifacts})
		}
		for _, l := range r.Lost {
			s.Lost = append(s.Lost, lostCoverage{path, l.Test, l.Text})
		}
		for _, t := range r.Tests {
			if t.Outcome != "leased" {
				file, line := position(t.Test, path, packages)
				s.refused = append(s.refused, refusal{path, t.Test, t.Outcome == "skipped", oneLine(t.Reason), file, line})
			}
			switch t.Outcome {
			case "leased":
				s.Tests++
			case "skipped":
				s.Skipped = count(s.Skipped, t)
			default:
				s.Failed = count(s.Failed, t)
			}
		}
		s.Started += r.Stats.Started
		s.Reused += r.Stats.Reused
		s.Replaced += r.Stats.Replaced
		s.Retried += r.Stats.Retried
		s.Reduced += r.Stats.Reduced
		s.Waited += r.Stats.Waited
		s.Over += r.Stats.Overcommitted
		waits = append(waits, r.Waits...)
	}
	slices.Sort(waits)
	s.P50, s.P95 = milliseconds(percentile(waits, 50)), milliseconds(percentile(waits, 95))
	slices.Sort(s.Unfinished)
	slices.SortFunc(s.Artifacts, func(a, b kept) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Dir, b.Dir))
	})
	slices.SortStableFunc(s.refused, func(a, b refusal) int {
		return cmp.Or(strings.Compare(a.pkg, b.pkg), strings.Compare(a.test, b.test))
	})
	for _, p := range packages {
		if len(p.Tests) == 0 {
			continue
		}
		s.Packages++
		switch {
		case reported[p.Path]:
		case content:
			s.Cached = append(s.Cached, p.Path)
		default:
			s.Unknown = append(s.Unknown, p.Path)
		}
	}
	return &s, nil
}

// packagePath is the path of the package that a binary tests: a plan may be
// that of the external tests.
func packagePath(plan string, packages []*generator.Package) string {
	base := strings.TrimSuffix(plan, "_test")
	for _, p := range packages {
		if p.Path == plan {
			return plan
		}
	}
	return base
}

// count adds a test to those with its reason, the most frequent first.
func count(list []reasonOf, t runtime.TestReport) []reasonOf {
	i := slices.IndexFunc(list, func(r reasonOf) bool { return r.Reason == t.Reason })
	if i < 0 {
		i = len(list)
		list = append(list, reasonOf{Reason: t.Reason, Code: t.Code})
	}
	list[i].Tests++
	slices.SortStableFunc(list, func(a, b reasonOf) int { return cmp.Compare(b.Tests, a.Tests) })
	return list
}

// percentile is the smallest of the sorted durations that p percent of them do
// not exceed; 0 if there are none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

func (s *summary) json() []byte {
	data, err := json.Marshal(map[string]any{"summary": s})
	if err != nil {
		panic(err) // it is made of numbers and strings
	}
	return data
}

// String is the line that people read.
func (s *summary) String() string {
	if s.Packages == 0 && s.Tests+len(s.Skipped)+len(s.Failed) == 0 {
		return "no test here needs a cluster"
	}
	var b strings.Builder
	switch {
	case s.Tests > 0:
		fmt.Fprintf(&b, "%s on clusters: %s started, %d reused, %d replaced, ready in %gms (p50), %gms (p95)",
			plural(s.Tests, "test"), plural(s.Started, "node"), s.Reused, s.Replaced, s.P50, s.P95)
	case len(s.Unfinished) > 0: // they tell of themselves at their end
		b.WriteString("no test on a cluster came to its end")
	default:
		b.WriteString("no test ran on a cluster")
	}
	if s.Retried > 0 {
		fmt.Fprintf(&b, "; %s tried again", plural(s.Retried, "start"))
	}
	if s.Reduced > 0 {
		fmt.Fprintf(&b, "; %s smaller than asked for", plural(s.Reduced, "cluster"))
	}
	if s.Waited > 0 {
		fmt.Fprintf(&b, "; %s waited for room on this machine", plural(s.Waited, "test"))
	}
	if s.Over > 0 {
		fmt.Fprintf(&b, "; %s beyond what it is to run at once", plural(s.Over, "cluster"))
	}
	for _, r := range s.Skipped {
		fmt.Fprintf(&b, "; %d skipped: %s", r.Tests, oneLine(r.Reason))
	}
	for _, r := range s.Failed {
		fmt.Fprintf(&b, "; %d failed for want of a cluster: %s", r.Tests, oneLine(r.Reason))
	}
	list := func(what string, packages []string) {
		if len(packages) > 0 {
			fmt.Fprintf(&b, "; %s: %s", what, strings.Join(packages, " "))
		}
	}
	if n := len(s.Lost); n > 0 {
		fmt.Fprintf(&b, "; coverage of %s is lost", plural(n, "process"))
	}
	list("cached", s.Cached)
	list("ended early", s.Unfinished)
	list("cached, or not built", s.Unknown)
	return b.String()
}

// lookAt are lines that say what is lost, and where to look for what happened.
func (s *summary) lookAt() string {
	const most = 5
	var b strings.Builder
	for i, l := range s.Lost {
		if i == most {
			fmt.Fprintf(&b, "dist: and %d more; -json has them all\n", len(s.Lost)-most)
			break
		}
		fmt.Fprintf(&b, "dist: %s: %s\n", l.Test, l.Text)
	}
	dirs := b.Len()
	for i, k := range s.Artifacts {
		if i == most {
			fmt.Fprintf(&b, "dist: and %d more\n", len(s.Artifacts)-most)
			break
		}
		fmt.Fprintf(&b, "dist: what happened in %s is in %s\n", k.Package, k.Dir)
	}
	if b.Len() > dirs {
		b.WriteString("dist: dist report draws it\n")
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// oneLine is the first line of a text.
func oneLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
