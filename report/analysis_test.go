package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/distkit/dist/report"
	"github.com/distkit/dist/report/internal/sample"
)

// lines of events are written with single quotes here.
func events(lines ...string) string {
	return header + strings.ReplaceAll(strings.Join(lines, "\n"), "'", `"`) + "\n"
}

func TestFailures(t *testing.T) {
	const ended = `{'t':0,'dur':100,'kind':'test','test':'TestA','outcome':'failed'}`
	for _, test := range []struct {
		name  string
		lines []string
		want  []string // a * is before the first, a + before consequences
	}{
		{"a crash, and what followed",
			[]string{
				`{'t':1,'kind':'lease','test':'TestA','cluster':'c','dur':90,'nodes':['node-1','node-2']}`,
				`{'t':20,'kind':'exit','cluster':'c','node':'node-1','outcome':'crashed','text':'exit status 2'}`,
				`{'t':10,'dur':11,'kind':'call.done','test':'TestA','cluster':'c','node':'node-1','what':'kv.get','outcome':'lost'}`,
				`{'t':30,'kind':'diagnosis','test':'TestA','code':'DIST-NODE-LOST','text':'node-1 was lost'}`, ended},
			[]string{"*node-1 crashed: exit status 2", "+kv.get on node-1: the node was lost", "+DIST-NODE-LOST: node-1 was lost", "+TestA failed in 100ns"}},
		{"calls that failed, one of which went well in the end",
			[]string{
				`{'t':1,'dur':1,'kind':'call.done','test':'TestA','cluster':'c','node':'node-1','what':'kv.get','outcome':'error','error':'not yet'}`,
				`{'t':2,'dur':1,'kind':'call.done','test':'TestA','cluster':'c','node':'node-2','what':'kv.get','outcome':'error','error':'no leader'}`,
				`{'t':3,'dur':1,'kind':'call.done','test':'TestA','cluster':'c','node':'node-1','what':'kv.get','outcome':'ok'}`, ended},
			[]string{"*kv.get on node-2 failed: no leader", "+TestA failed in 100ns"}},
		{"a call that failed before a panic",
			[]string{
				`{'t':1,'dur':1,'kind':'call.done','test':'TestA','cluster':'c','node':'node-1','what':'kv.put','outcome':'error','error':'refused'}`,
				`{'t':5,'dur':1,'kind':'call.done','test':'TestA','cluster':'c','node':'node-2','what':'kv.get','outcome':'panic','error':'index out of range\ngoroutine 1'}`, ended},
			[]string{"*kv.get on node-2 panicked: index out of range", " kv.put on node-1 failed: refused", "+TestA failed in 100ns"}},
		{"nothing but the test's own word", []string{ended}, []string{"*TestA failed in 100ns"}},
		{"killed on purpose",
			[]string{
				`{'t':5,'kind':'fault','test':'TestA','cluster':'c','node':'node-1','what':'kill','outcome':'ok'}`,
				`{'t':5,'kind':'exit','test':'TestA','cluster':'c','node':'node-1','outcome':'killed'}`, ended},
			[]string{"*TestA failed in 100ns"}},
		{"no cluster",
			[]string{
				`{'t':1,'dur':2,'kind':'start','test':'TestA','cluster':'c','node':'node-1','outcome':'error','error':'exit status 1'}`,
				`{'t':4,'dur':50,'kind':'retry','test':'TestA','cluster':'c','reason':'exited'}`,
				`{'t':60,'kind':'decision','test':'TestA','outcome':'fail','reason':'no nodes'}`, ended},
			[]string{"*node-1 did not start: exit status 1", "+fail: no nodes", "+TestA failed in 100ns"}},
		{"cut short",
			[]string{
				`{'t':1,'kind':'decision','test':'TestA','outcome':'start'}`,
				`{'t':3,'kind':'call','id':4,'test':'TestA','cluster':'c','node':'node-1','what':'kv.wait'}`,
				`{'t':90,'kind':'log','cluster':'c','node':'node-1','text':'still waiting'}`},
			[]string{"*kv.wait on node-1 had not returned"}},
		{"it passed",
			[]string{
				`{'t':1,'dur':1,'kind':'call.done','test':'TestA','cluster':'c','node':'node-1','what':'kv.get','outcome':'error'}`,
				`{'t':0,'dur':9,'kind':'test','test':'TestA','outcome':'ok'}`},
			nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := report.Analyze(read(t, events(test.lines...)))
			if len(a.Tests) != 1 {
				t.Fatalf("tests: %+v", a.Tests)
			}
			var got []string
			for _, f := range a.Tests[0].Failures {
				grade := " "
				if f.First {
					grade = "*"
				} else if f.Consequence {
					grade = "+"
				}
				got = append(got, grade+f.Summary)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The sample's second test fails first and comes first; what led to it is there.
func TestAnalyzeSample(t *testing.T) {
	var b bytes.Buffer
	if err := (sample.Run{Nodes: 3, Events: 10_000}).Write(&b); err != nil {
		t.Fatal(err)
	}
	run := read(t, b.String())
	if n := len(run.Events); n < 9_000 || n > 12_000 {
		t.Errorf("%d events, not about 10000", n)
	}
	a := report.Analyze(run)
	var names []string
	for _, test := range a.Tests {
		names = append(names, test.Name+" "+test.Outcome)
	}
	if diff := cmp.Diff([]string{"TestLeaderSurvivesCrash failed", "TestElection ok"}, names); diff != "" {
		t.Fatal(diff)
	}
	first := a.Tests[0].Failures[0]
	if first.Summary != "node-1 crashed: exit status 2" || first.Code != "DIST-NODE-LOST" || !strings.Contains(first.Text, "slice bounds out of range") {
		t.Errorf("the first failure: %+v", first)
	}
	var led []string
	for i, l := range first.LedSay {
		led = append(led, l.Summary)
		if l.At > first.At || i > 0 && l.At < first.LedSay[i-1].At {
			t.Errorf("%s is out of order", l.Summary)
		}
	}
	for _, want := range []string{"isolate node-1", "heal", "kill node-3", "restart node-3", "raft: restoring snapshot 2-40-1772446504120", "panic: runtime error: slice bounds out of range [41:38]"} {
		if !strings.Contains(strings.Join(led, "\n"), want) {
			t.Errorf("%q did not lead to it, but:\n%s", want, strings.Join(led, "\n"))
		}
	}
	// Lanes of two clusters, node-10 after node-2.
	want := []report.Lane{{}}
	for _, c := range []string{"rfy4c3sxkq2h-1", "rfy4c3sxkq2h-2"} {
		for _, n := range []string{"node-1", "node-2", "node-3"} {
			want = append(want, report.Lane{Cluster: c, Node: n})
		}
	}
	if diff := cmp.Diff(want, a.Lanes); diff != "" {
		t.Error(diff)
	}
}

// What happens on a cluster is of the test that has it; subtests are of the
// test whose cluster they use.
func TestAssign(t *testing.T) {
	a := report.Analyze(read(t, events(
		`{'t':0,'dur':2,'kind':'start','cluster':'c','node':'node-10','outcome':'ok'}`,
		`{'t':10,'dur':20,'kind':'lease','test':'TestA','cluster':'c','nodes':['node-2','node-10']}`,
		`{'t':12,'kind':'exit','cluster':'c','node':'node-2','outcome':'crashed'}`,
		`{'t':13,'dur':2,'kind':'call.done','test':'TestA/sub','cluster':'c','node':'node-10','what':'f','outcome':'ok'}`,
		`{'t':5,'dur':26,'kind':'test','test':'TestA','outcome':'failed'}`,
		`{'t':40,'dur':20,'kind':'lease','test':'TestB/own','cluster':'c','nodes':['node-2']}`,
		`{'t':55,'kind':'exit','cluster':'c','node':'node-10','outcome':'crashed'}`,
		`{'t':39,'dur':30,'kind':'test','test':'TestB/own','outcome':'failed'}`,
	)))
	got := make(map[string]string)
	for _, test := range a.Tests {
		got[test.Name] = test.Failures[0].Summary
	}
	if diff := cmp.Diff(map[string]string{"TestA": "node-2 crashed", "TestB/own": "node-10 crashed"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]report.Lane{{}, {Cluster: "c", Node: "node-2"}, {Cluster: "c", Node: "node-10"}}, a.Lanes); diff != "" {
		t.Error(diff)
	}
}

func TestDescribe(t *testing.T) {
	for _, test := range []struct {
		event report.Event
		want  string
	}{
		{report.Event{Kind: "call.done", What: "kv.get", Node: "node-1", Dur: 1_234_567, Outcome: "ok"}, "kv.get on node-1 in 1.23ms"},
		{report.Event{Kind: "call.done", What: "kv.get", Node: "node-1", Peer: "node-2", Outcome: "ended", Error: "context canceled"}, "kv.get on node-1, called by node-2 was cut short: context canceled"},
		{report.Event{Kind: "fault", What: "delay", Node: "node-1", Peer: "node-2", Text: "20ms"}, "delay node-1 → node-2: 20ms"},
		{report.Event{Kind: "fault", What: "kill", Node: "node-1", Outcome: "failed", Error: "no such process"}, "kill node-1 failed: no such process"},
		{report.Event{Kind: "barrier", What: "ready", Node: "node-1", Dur: 90_000_000_000}, `barrier "ready" on node-1, waited 1m30s`},
		{report.Event{Kind: "exit", Node: "node-1", Outcome: "killed", Text: "killed by SIGKILL"}, "node-1 ended: killed by SIGKILL"},
		{report.Event{Kind: "lease", Nodes: []string{"node-1"}, Reused: true, Dur: 1500}, "lease of 1 node, used before for 1.5µs"},
		{report.Event{Kind: "dropped", Size: 12, What: "log"}, "12 events were left out: log"},
		{report.Event{Kind: "diagnosis", Code: "DIST-X", Text: "\nwhat is wrong\nmore"}, "DIST-X: what is wrong"},
		{report.Event{Kind: "unheard-of", What: "thing", Text: "said"}, "unheard-of thing: said"},
		{report.Event{Kind: "log", Text: strings.Repeat("ü", 400)}, strings.Repeat("ü", 300) + "…"},
	} {
		if got := report.Describe(&test.event); got != test.want {
			t.Errorf("%+v: %q, want %q", test.event, got, test.want)
		}
	}
}
