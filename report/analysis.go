package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/events"
)

// A Test is what a run's events tell of one test that had to do with clusters.
type Test struct {
	Name    string        `json:"test"`
	Outcome string        `json:"outcome"` // ok, failed, skipped; "unfinished" if its end is missing
	Begin   time.Duration `json:"t"`
	End     time.Duration `json:"end"`
	// Failures are by time, but that the one that explains most is first; empty
	// for a test that did not fail.
	Failures []Failure `json:"failures,omitempty"`
	Omitted  int       `json:"omitted,omitempty"` // further failures
}

// A Failure is one thing that went wrong in a test.
type Failure struct {
	Event       int           `json:"-"` // index in Run.Events
	At          time.Duration `json:"t"`
	Node        string        `json:"node,omitempty"`
	Kind        string        `json:"kind"`
	Summary     string        `json:"summary"`
	Code        string        `json:"code,omitempty"`
	Text        string        `json:"text,omitempty"`        // what the diagnosis says, if there is one of this
	First       bool          `json:"first,omitempty"`       // explains most
	Consequence bool          `json:"consequence,omitempty"` // came after the first
	// Led are the events that led to it, by time.
	Led    []int      `json:"-"`
	LedSay []LedEvent `json:"led,omitempty"`
}

// A LedEvent is one that led to a failure.
type LedEvent struct {
	At      time.Duration `json:"t"`
	Node    string        `json:"node,omitempty"`
	Kind    string        `json:"kind"`
	Summary string        `json:"summary"`
}

const (
	maxFailures = 200 // of a test
	maxLed      = 24  // events that led to one failure
	maxLookBack = 20_000
)

// An Analysis is what is made of a run.
type Analysis struct {
	Tests []Test // those that failed first, by time
	Lanes []Lane // the first is the test process
	test  []int  // of each event, an index in Tests; -1: of none
	lane  []int  // of each event, an index in Lanes
}

// A Lane is a process of which events are told.
type Lane struct {
	Cluster string `json:"cluster,omitempty"`
	Node    string `json:"node,omitempty"`
}

// Analyze tells tests and lanes apart and finds what failed.
func Analyze(r *Run) *Analysis {
	a := &Analysis{}
	a.place(r.Events)
	a.assign(r.Events)
	of := make([][]int, len(a.Tests))
	for i, t := range a.test {
		if t >= 0 {
			of[t] = append(of[t], i)
		}
	}
	for i := range a.Tests {
		a.Tests[i].conclude(r.Events, of[i])
	}
	a.order()
	return a
}

// place gives each event its lane: one for each node of each cluster.
func (a *Analysis) place(events []Event) {
	index := map[Lane]int{{}: 0}
	a.Lanes = []Lane{{}}
	a.lane = make([]int, len(events))
	add := func(l Lane) int {
		if l.Node == "" {
			return 0
		}
		i, ok := index[l]
		if !ok {
			i = len(a.Lanes)
			index[l] = i
			a.Lanes = append(a.Lanes, l)
		}
		return i
	}
	for i := range events {
		e := &events[i]
		for _, n := range e.Nodes {
			add(Lane{e.Cluster, n})
		}
		a.lane[i] = add(Lane{e.Cluster, e.Node})
		add(Lane{e.Cluster, e.Peer})
	}
	// By cluster as they came up, and in it by the number of the node.
	came := make(map[string]int)
	for _, l := range a.Lanes[1:] {
		if _, ok := came[l.Cluster]; !ok {
			came[l.Cluster] = len(came)
		}
	}
	sorted := slices.Clone(a.Lanes)
	slices.SortStableFunc(sorted[1:], func(x, y Lane) int {
		return cmp.Or(cmp.Compare(came[x.Cluster], came[y.Cluster]), compareNames(x.Node, y.Node))
	})
	moved := make([]int, len(sorted))
	for to, l := range sorted {
		moved[index[l]] = to
	}
	for i, l := range a.lane {
		a.lane[i] = moved[l]
	}
	a.Lanes = sorted
}

// compareNames has node-2 before node-10.
func compareNames(x, y string) int {
	px, nx := numbered(x)
	py, ny := numbered(y)
	return cmp.Or(strings.Compare(px, py), cmp.Compare(nx, ny), strings.Compare(x, y))
}

func numbered(s string) (string, int) {
	p := strings.TrimRight(s, "0123456789")
	n, _ := strconv.Atoi(s[len(p):])
	return p, n
}

// assign gives each event its test. What happens on a cluster without a test
// being named is of the test that held it then, was about to, or had.
func (a *Analysis) assign(events []Event) {
	holders := make(map[string]bool) // names of tests that stand for themselves
	for i := range events {
		switch e := &events[i]; e.Kind {
		case "lease", "decision":
			if e.Test != "" {
				holders[e.Test] = true
			}
		}
	}
	index := make(map[string]int)
	testOf := func(name string) int {
		owner := name
		for !holders[owner] {
			cut := strings.LastIndexByte(owner, '/')
			if cut < 0 {
				break
			}
			owner = owner[:cut]
		}
		i, ok := index[owner]
		if !ok {
			i = len(a.Tests)
			index[owner] = i
			a.Tests = append(a.Tests, Test{Name: owner, Begin: -1})
		}
		return i
	}
	type hold struct {
		test       int
		begin, end time.Duration
	}
	holds := make(map[string][]*hold) // by cluster
	a.test = make([]int, len(events))
	for i := range events {
		e := &events[i]
		a.test[i] = -1
		if e.Test == "" {
			continue
		}
		t := testOf(e.Test)
		a.test[i] = t
		if e.Cluster == "" {
			continue
		}
		hs := holds[e.Cluster]
		if n := len(hs); n > 0 && hs[n-1].test == t {
			hs[n-1].end = max(hs[n-1].end, e.End())
		} else {
			holds[e.Cluster] = append(hs, &hold{t, e.At, e.End()})
		}
	}
	for i := range events {
		e := &events[i]
		hs := holds[e.Cluster]
		if a.test[i] >= 0 || e.Cluster == "" || len(hs) == 0 {
			continue
		}
		// The last that began before this was over, or else the first of all.
		k, _ := slices.BinarySearchFunc(hs, e.End(), func(h *hold, t time.Duration) int {
			if h.begin <= t {
				return -1
			}
			return 1
		})
		h := hs[max(k-1, 0)]
		if e.At > h.end && k < len(hs) && e.Kind == "start" {
			h = hs[k] // a node for the next
		}
		a.test[i] = h.test
	}
}

// conclude says how a test ended, and why. own are its events.
func (t *Test) conclude(events []Event, own []int) {
	t.Outcome = "unfinished"
	skipped := false
	for _, i := range own {
		e := &events[i]
		if (t.Begin < 0 || e.At < t.Begin) && e.Kind != "start" { // nodes may be started ahead of time
			t.Begin = e.At
		}
		t.End = max(t.End, e.End())
		switch {
		case e.Kind == "test" && e.Test == t.Name:
			t.Outcome = cmp.Or(e.Outcome, "unfinished")
		case e.Kind == "decision" && e.Outcome == "skip":
			skipped = true
		}
	}
	t.Begin = max(t.Begin, 0)
	if t.Outcome == "unfinished" {
		if skipped {
			t.Outcome = "skipped"
		}
		for _, i := range own { // subtests, or another's word for it
			if e := &events[i]; e.Kind == "diagnosis" || e.Kind == "test" && e.Outcome == "failed" {
				t.Outcome = "failed"
			}
		}
	}
	if t.Outcome == "failed" || t.Outcome == "unfinished" {
		t.fail(events, own)
	}
}

// Grades of what goes wrong.
const (
	fine     = iota
	told     // says that something failed, not what
	soft     // may be what a test expects
	hard     // never is
	expected = fine
)

// grade says how much of a failure an event is.
func grade(e *Event) int {
	bad := e.Outcome != "" && e.Outcome != "ok" && e.Outcome != "ended" && e.Outcome != "skipped"
	switch e.Kind {
	case "diagnosis", "leak":
		return hard
	case "exit":
		if e.Outcome == "crashed" {
			return hard
		}
	case "start":
		if bad {
			return hard
		}
	case "fault":
		if bad || e.Error != "" {
			return hard
		}
	case "decision":
		if e.Outcome == "fail" {
			return hard
		}
	case "call.done":
		switch e.Outcome {
		case "panic":
			return hard
		case "", "ok":
		default: // an ended call too: its time was up
			return soft
		}
	case "call": // one that had not returned
		return soft
	case "barrier":
		if e.Outcome != "" && e.Outcome != "ok" {
			return soft
		}
	case "test":
		if e.Outcome == "failed" {
			return told
		}
	}
	return fine
}

// fail finds the failures of a test, and which of them is the first. That is
// the first thing that no test expects; or else the first call or barrier that
// failed and did not succeed later; or else that the test says so.
func (t *Test) fail(events []Event, own []int) {
	type act struct{ kind, cluster, node, what string }
	recovered := make(map[act]time.Duration) // when it last succeeded
	for _, i := range own {
		e := &events[i]
		if (e.Kind == "call.done" || e.Kind == "barrier") && (e.Outcome == "ok" || e.Outcome == "") {
			k := act{string(e.Kind), e.Cluster, e.Node, e.What}
			recovered[k] = max(recovered[k], e.End())
		}
	}
	type trouble struct{ event, grade int }
	var all []trouble
	for _, i := range own {
		e := &events[i]
		g := grade(e)
		if g == soft && e.Kind != "call" && recovered[act{string(e.Kind), e.Cluster, e.Node, e.What}] > e.End() {
			g = expected
		}
		if g != fine {
			all = append(all, trouble{i, g})
		}
	}
	slices.SortStableFunc(all, func(x, y trouble) int {
		return cmp.Compare(struckAt(&events[x.event], t.End), struckAt(&events[y.event], t.End))
	})
	first, best := -1, fine
	for i, x := range all {
		if x.grade > best {
			first, best = i, x.grade
		}
	}
	if first < 0 {
		return
	}
	// A diagnosis is told when what it is about has happened.
	root := all[first]
	all = slices.Insert(slices.Delete(all, first, first+1), 0, root)
	if n := len(all) - maxFailures; n > 0 {
		t.Omitted, all = n, all[:maxFailures]
	}
	byEnd := slices.Clone(own)
	slices.SortStableFunc(byEnd, func(x, y int) int {
		return cmp.Compare(struckAt(&events[x], t.End), struckAt(&events[y], t.End))
	})
	for i, x := range all {
		e := &events[x.event]
		f := Failure{
			Event: x.event, At: struckAt(e, t.End), Node: e.Node, Kind: string(e.Kind), Code: e.Code,
			Summary: Describe(e), First: i == 0, Led: led(events, byEnd, x.event, t.End),
		}
		if i == 0 {
			f.Text, f.Code = diagnosisOf(events, own, x.event)
		}
		f.Consequence = i > 0 && f.At >= t.Failures[0].At
		for _, l := range f.Led {
			le := &events[l]
			f.LedSay = append(f.LedSay, LedEvent{le.At, le.Node, string(le.Kind), Describe(le)})
		}
		t.Failures = append(t.Failures, f)
	}
}

// struckAt is when an event is known to have failed. A call that never returned
// struck when all was over.
func struckAt(e *Event, over time.Duration) time.Duration {
	if e.Kind == "call" {
		return over
	}
	return e.End()
}

// diagnosisOf returns the text of a failure's diagnosis: its own, or the first
// after it that is about its node or about none.
func diagnosisOf(events []Event, own []int, failed int) (text, code string) {
	f := &events[failed]
	if f.Kind == "diagnosis" {
		return f.Text, f.Code
	}
	for _, i := range own {
		e := &events[i]
		if e.Kind == "diagnosis" && (e.Node == "" || f.Node == "" || e.Node == f.Node) {
			return e.Text, e.Code
		}
	}
	return "", f.Code
}

// led returns the events that led to a failure: the last faults, whatever they
// were done to, and the last of each kind on the nodes concerned.
func led(all []Event, byEnd []int, failed int, over time.Duration) []int {
	f := &all[failed]
	at := struckAt(f, over)
	concerned := func(e *Event) bool {
		if f.Node == "" && f.Peer == "" {
			return true
		}
		return e.Cluster == f.Cluster && (e.Node == f.Node || e.Node == f.Peer && f.Peer != "" || e.Peer == f.Node && f.Node != "")
	}
	quota := map[events.Kind]int{"fault": 6, "exit": 4, "start": 2, "retry": 3, "leak": 2, "call": 3, "call.done": 4, "barrier": 2, "log": 8, "schedule": 1, "decision": 1, "diagnosis": 1}
	elsewhere := map[events.Kind]int{"exit": 2, "call.done": 2}
	var found []int
	looked := 0
	for k := len(byEnd) - 1; k >= 0 && looked < maxLookBack && len(found) < maxLed; k-- {
		i := byEnd[k]
		e := &all[i]
		if i == failed || struckAt(e, over) > at || e.At > at {
			continue
		}
		looked++
		switch {
		case e.Kind == "fault" || concerned(e):
			if quota[e.Kind] > 0 {
				quota[e.Kind]--
				found = append(found, i)
			}
		case elsewhere[e.Kind] > 0 && e.Outcome != "ok" && e.Outcome != "":
			elsewhere[e.Kind]--
			found = append(found, i)
		}
	}
	slices.Sort(found) // events are by time
	return found
}

// order puts tests that failed first, and all by the time of their end.
func (a *Analysis) order() {
	rank := func(t *Test) int {
		switch t.Outcome {
		case "failed":
			return 0
		case "unfinished":
			return 1
		}
		return 2
	}
	when := func(t *Test) time.Duration {
		if len(t.Failures) > 0 {
			return t.Failures[0].At
		}
		return t.Begin
	}
	old := make([]int, len(a.Tests))
	for i := range old {
		old[i] = i
	}
	slices.SortStableFunc(old, func(x, y int) int {
		tx, ty := &a.Tests[x], &a.Tests[y]
		return cmp.Or(cmp.Compare(rank(tx), rank(ty)), cmp.Compare(when(tx), when(ty)))
	})
	tests := make([]Test, len(old))
	moved := make([]int, len(old))
	for to, from := range old {
		tests[to], moved[from] = a.Tests[from], to
	}
	for i, t := range a.test {
		if t >= 0 {
			a.test[i] = moved[t]
		}
	}
	a.Tests = tests
}

// Describe says in a line what an event is.
func Describe(e *Event) string {
	on := func(s string) string {
		if e.Node == "" {
			return s
		}
		return s + " on " + e.Node
	}
	why := func(s string) string {
		if line := firstLine(cmp.Or(e.Error, e.Text)); line != "" {
			return s + ": " + line
		}
		return s
	}
	took := func(s string) string {
		if e.Dur == 0 {
			return s
		}
		return s + " in " + short(e.Dur)
	}
	subject := cmp.Or(e.Node, "a node")
	switch e.Kind {
	case "call":
		return on(e.What) + " had not returned"
	case "call.done":
		s := on(e.What)
		if e.Peer != "" {
			s += ", called by " + e.Peer
		}
		switch e.Outcome {
		case "", "ok":
			return took(s)
		case "panic":
			return why(s + " panicked")
		case "lost":
			return why(s + ": the node was lost")
		case "ended":
			return why(took(s + " was cut short"))
		}
		return why(s + " failed")
	case "exit":
		if e.Outcome == "crashed" {
			return why(subject + " crashed")
		}
		if e.Outcome == "killed" {
			return subject + " ended: " + cmp.Or(firstLine(e.Text), "killed")
		}
		return why(subject + " ended")
	case "start":
		if e.Outcome != "" && e.Outcome != "ok" {
			return why(subject + " did not start")
		}
		return took(subject + " started")
	case "retry":
		return "start tried again after " + short(e.Dur) + suffix(firstLine(cmp.Or(e.Reason, e.Error, e.Text)))
	case "barrier":
		s := on(fmt.Sprintf("barrier %q", e.What))
		if e.Outcome != "" && e.Outcome != "ok" {
			return why(s + " failed")
		}
		if e.Dur == 0 {
			return s
		}
		return s + ", waited " + short(e.Dur)
	case "fault":
		s := e.What
		switch {
		case e.Node != "" && e.Peer != "":
			s += " " + e.Node + " → " + e.Peer
		case e.Node != "":
			s += " " + e.Node
		}
		if e.Error != "" || e.Outcome != "" && e.Outcome != "ok" {
			return why(s + " failed")
		}
		// Some texts are whole sentences, others only say how much.
		if line := firstLine(e.Text); e.Node == "" && strings.Contains(line, e.What) || e.Node != "" && strings.Contains(line, e.Node) {
			return line
		}
		return s + suffix(firstLine(e.Text))
	case "leak":
		return why(subject + " leaked")
	case "diagnosis":
		line := firstLine(e.Text)
		if e.Code != "" && !strings.Contains(line, e.Code) {
			return strings.TrimSuffix(e.Code+": "+line, ": ")
		}
		return line
	case "decision":
		return cmp.Or(e.Outcome, "decision") + suffix(firstLine(e.Reason))
	case "lease":
		n := len(e.Nodes)
		s := fmt.Sprintf("lease of %d nodes", n)
		if n == 1 {
			s = "lease of 1 node"
		}
		if e.Reused {
			s += ", used before"
		}
		return s + " for " + short(e.Dur)
	case "test":
		switch e.Outcome {
		case "ok":
			return took(e.Test + " passed")
		case "":
			return e.Test
		}
		return why(took(e.Test + " " + e.Outcome))
	case "run":
		return "the run ended" + suffix(e.Outcome)
	case "schedule":
		return "schedule" + suffix(firstLine(e.Text))
	case "dropped":
		return fmt.Sprintf("%d events were left out%s", e.Size, suffix(e.What))
	case "log", "print":
		return firstLine(e.Text)
	}
	return strings.TrimSpace(string(e.Kind) + " " + e.What + suffix(firstLine(cmp.Or(e.Error, e.Text))))
}

func suffix(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(s, "\n"), "\n")
	const most = 300
	if r := []rune(line); len(line) > most && len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}

// short is a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= 100*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d >= time.Microsecond:
		return d.Round(10 * time.Nanosecond).String()
	}
	return d.String()
}
