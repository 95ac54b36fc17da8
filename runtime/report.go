package runtime

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/manager"
)

// EnvReport names the directory in which test binaries leave a Report each, for
// whoever runs them (dist test). It is read before the tests run, where Go's
// test cache takes no note of it.
const EnvReport = "DIST_REPORT"

// EventsFile is the file in that directory to which test binaries append an
// Event a line while they run, if it is there.
const EventsFile = "events"

// An Event is a step on the way to a Report, as it happens.
type Event struct {
	PID     int    `json:"pid"` // of the test binary
	Package string `json:"package"`
	Kind    string `json:"kind"`             // begin | want | wait | leased | refused | released | end
	Test    string `json:"test,omitempty"`   // but for begin and end
	Nodes   int    `json:"nodes,omitempty"`  // of a lease
	Reused  bool   `json:"reused,omitempty"` // the lease's nodes had served another
	Reason  string `json:"reason,omitempty"` // for wait and refused
}

// A Report is what one test binary did with clusters.
type Report struct {
	Package string          `json:"package"`
	Ended   bool            `json:"ended"` // the tests came to their end; until then there is nothing else in it
	Tests   []TestReport    `json:"tests"`
	Stats   manager.Stats   `json:"stats"`
	Waits   []time.Duration `json:"waits"` // nanoseconds each lease waited for its cluster

	// Lost are those whose coverage is lost.
	Lost []LostCoverage `json:"lost_coverage,omitempty"`

	// Artifacts is the directory with what is kept of the run; "" if nothing is.
	Artifacts string `json:"artifacts,omitempty"`
}

// A LostCoverage is what a process has not written.
type LostCoverage struct {
	Test string `json:"test"`
	Text string `json:"text"` // whose, and why, in a line
}

// A TestReport is one requirement of one test, and what became of it.
type TestReport struct {
	Test    string        `json:"test"`
	Outcome string        `json:"outcome"` // leased | skipped | failed
	Nodes   int           `json:"nodes,omitempty"`
	Reused  bool          `json:"reused,omitempty"`
	Wait    time.Duration `json:"wait,omitempty"` // nanoseconds
	Reason  string        `json:"reason"`
	Tried   []string      `json:"tried,omitempty"` // starts that failed before, and why
	Code    string        `json:"code,omitempty"`  // of the diagnosis

	// Whole, whatever the test itself has said: there it is told once for all.
	Diagnosis *diagnostics.Diagnosis `json:"diagnosis,omitempty"`
}

// report collects a Report. A nil report collects nothing.
type report struct {
	name string // of the file, less .json; "": none can be written
	mu   sync.Mutex
	r    Report

	events *os.File // nil if nobody watches
}

// openReport leaves a first report at once, so that a binary that crashes can be
// told from one that was never run.
func openReport() *report {
	dir, ok := os.LookupEnv(EnvReport)
	if !ok || dir == "" {
		return nil
	}
	os.Unsetenv(EnvReport) // a nested go test is not part of this run
	r := new(report)
	if plans := theSession.plans; len(plans) > 0 {
		r.r.Package = plans[0].Package
	}
	if f, err := os.CreateTemp(dir, "report-"); err == nil {
		f.Close()
		r.name = f.Name()
		r.write()
	}
	// Not made here: that it is there says that somebody reads it.
	if f, err := os.OpenFile(filepath.Join(dir, EventsFile), os.O_WRONLY|os.O_APPEND, 0); err == nil {
		r.events = f
	}
	r.event(Event{Kind: "begin"})
	return r
}

// event tells whoever watches. A line is written at once, so that those of
// several binaries do not mix.
func (r *report) event(e Event) {
	if r == nil || r.events == nil {
		return
	}
	e.PID, e.Package = os.Getpid(), r.r.Package
	if b, err := json.Marshal(e); err == nil {
		r.events.Write(append(b, '\n'))
	}
}

// wants is told before a test waits for its cluster.
func (r *report) wants(test string) { r.event(Event{Kind: "want", Test: test}) }

// waits is told why a test has to wait.
func (r *report) waits(test, reason string) {
	r.event(Event{Kind: "wait", Test: test, Reason: reason})
}

// released is told when a lease has ended.
func (r *report) released(test string) { r.event(Event{Kind: "released", Test: test}) }

func (r *report) add(t TestReport) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.Tests = append(r.r.Tests, t)
	if t.Outcome == "leased" {
		r.event(Event{Kind: "leased", Test: t.Test, Nodes: t.Nodes, Reused: t.Reused})
	} else {
		r.event(Event{Kind: "refused", Test: t.Test, Reason: t.Reason})
	}
}

func (r *report) leased(h *Held) {
	var tried []string
	for _, t := range h.Tried {
		tried = append(tried, t.String())
	}
	r.add(TestReport{Test: h.Test(), Outcome: "leased", Nodes: h.Size(), Reused: h.Reused(), Wait: h.Wait, Reason: h.Decision.Reason, Tried: tried})
}

func (r *report) skipped(test string, u *manager.Unavailable) {
	r.add(TestReport{Test: test, Outcome: "skipped", Reason: u.Decision.Reason, Code: string(u.Diagnosis.Code), Diagnosis: u.Diagnosis})
}

func (r *report) failed(test string, err error) {
	t := TestReport{Test: test, Outcome: "failed", Reason: err.Error()}
	if d, ok := errors.AsType[*diagnostics.Diagnosis](err); ok {
		t.Diagnosis, t.Code = d, string(d.Code)
	}
	if u, ok := err.(*manager.Unavailable); ok {
		t.Reason = u.Decision.Reason
	}
	r.add(t)
}

// lost is told whose coverage is lost at the end of a test.
func (r *report) lost(test string, texts []string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range texts {
		r.r.Lost = append(r.r.Lost, LostCoverage{test, text})
	}
}

// keeps is told where artifacts go that may be kept, lest nobody tell of those of a
// binary that crashes.
func (r *report) keeps(dir string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.r.Ended {
		early := report{name: r.name, r: Report{Package: r.r.Package, Artifacts: dir}}
		early.write()
	}
}

// close writes the last report. That it cannot be written is the reader's to notice.
func (r *report) close(m *manager.Manager, artifacts string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.Ended, r.r.Stats, r.r.Waits, r.r.Artifacts = true, m.Stats(), m.Waits(), artifacts
	r.write()
	r.event(Event{Kind: "end"})
}

// write replaces the file whole: the binary may be killed at any time.
func (r *report) write() {
	b, err := json.Marshal(r.r)
	if err != nil || r.name == "" {
		return
	}
	if os.WriteFile(r.name, b, 0o600) == nil {
		os.Rename(r.name, r.name+".json")
	}
}
