package diagnostics

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFold(t *testing.T) {
	exited := func(node string, code int) Failure {
		return Failure{Phase: PhaseHandshake, Op: "start a node", Node: node, Exit: &Exit{Code: code}}
	}
	panicked := func(node string) Failure {
		f := exited(node, 2)
		f.Log = []string{"panic: x", "", "goroutine 1 [running]:", "a.b/p.init()"}
		return f
	}
	slow := func(node string) Failure {
		return Failure{Phase: PhaseHandshake, Node: node, Err: context.DeadlineExceeded, Limit: time.Second}
	}
	for _, test := range []struct {
		name  string
		fs    []Failure
		code  Code
		alike string
		want  []string // in the text
	}{
		{"one", []Failure{exited("node-1", 1)}, NodeExitEarly, "", []string{"node-1 exited"}},
		{"two alike", []Failure{exited("node-1", 7), exited("node-2", 7)}, NodeExitEarly, "node-2", []string{"node-1, like node-2, exited before it answered", "the same on node-2"}},
		{"three alike", []Failure{panicked("node-1"), panicked("node-2"), panicked("node-3")}, NodeInitPanic, "node-2 node-3", []string{"node-1, like 2 others, exited", "the same on node-2, node-3"}},
		{"alike but for the time of day", []Failure{
			{Phase: PhaseHandshake, Node: "node-1", Exit: &Exit{Code: 1}, Log: []string{"2026/01/02 03:04:05 node-1: no config in /etc"}},
			{Phase: PhaseHandshake, Node: "node-2", Exit: &Exit{Code: 1}, Log: []string{"2026/01/02 03:04:06 node-2: no config in /etc"}},
		}, NodeExitEarly, "node-2", nil},
		{"not alike", []Failure{
			{Phase: PhaseHandshake, Node: "node-1", Exit: &Exit{Code: 1}, Log: []string{"no config in /etc"}},
			{Phase: PhaseHandshake, Node: "node-2", Exit: &Exit{Code: 1}, Log: []string{"no config in /usr"}},
		}, NodeExitEarly, "", []string{"node-2: it ended by itself; its last words: no config in /usr [DIST-NODE-EXIT-EARLY]"}},
		{"a cause and what followed", []Failure{slow("node-1"), panicked("node-2"), exited("node-3", 1)}, NodeInitPanic, "", []string{"node-2 exited", "node-1: ", "[DIST-NODE-HANDSHAKE-TIMEOUT]", "node-3: "}},
		{"a full disk", []Failure{
			{Phase: PhasePrepare, Op: "create a log file", Path: "/d/1.log", Node: "node-1", Err: syscall.ENOSPC},
			{Phase: PhasePrepare, Op: "create a log file", Path: "/d/2.log", Node: "node-2", Err: syscall.ENOSPC},
		}, DirFull, "node-2", []string{"the same on node-2"}},
	} {
		f := Fold(test.fs)
		d := Diagnose(f)
		text := d.Error()
		if d.Code != test.code || strings.Join(f.Alike, " ") != test.alike {
			t.Errorf("%s: %s, alike %q:\n%s", test.name, d.Code, f.Alike, text)
		}
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", test.name, want, text)
			}
		}
	}
}
