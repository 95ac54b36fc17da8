package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/manager"
)

func TestFoldCalls(t *testing.T) {
	now := time.Now()
	crashed := func(node, why string, at time.Time) error {
		exit := diagnostics.Exit{Code: 2}
		op := "call f on " + node
		return &manager.LostError{Node: node, Op: op, At: at, Exit: exit, Diagnosis: diagnostics.Diagnose(diagnostics.Failure{
			Phase: diagnostics.PhaseCall, Op: op, Node: node, Exit: &exit, Log: []string{"panic: " + why, "", "goroutine 1 [running]:", "p.f()", "\t/p.go:1"},
		})}
	}
	killed := func(node string) error {
		return &manager.LostError{Node: node, Op: "call f on " + node, Reason: "killed by the test"}
	}
	said := func(node, what string) error {
		return fmt.Errorf("call f on %s: %w", node, errors.New(what))
	}
	const refused = "dial tcp 127.1.2.3:7000: connect: connection refused"
	for _, test := range []struct {
		name string
		errs []error
		want []string // what the text has, in this order
		not  string
	}{
		{"a crash, and who missed it", []error{said("node-1", refused), crashed("node-2", "boom", now), said("node-3", refused)}, []string{
			"dist: cannot call f on node-2: node-2 panicked", "boom", "\n    followed: call f on node-1: " + refused + "\n", "the same on node-3"}, "call f on node-3"},
		{"the first of two crashes", []error{crashed("node-1", "lost node-2", now.Add(time.Second)), crashed("node-2", "boom", now)}, []string{"dist: cannot call f on node-2", "dist: cannot call f on node-1"}, "followed"},
		{"three crashes that are one", []error{crashed("node-1", "boom", now.Add(time.Second)), crashed("node-2", "boom", now), crashed("node-3", "boom", now)}, []string{"dist: cannot call f on node-2", "the same on node-3, node-1"}, "cannot call f on node-3"},
		{"killed by the test", []error{said("node-1", "read: EOF"), killed("node-2"), nil}, []string{"call f on node-2: the node is gone: killed by the test", "followed: call f on node-1"}, ""},
		{"another mistake", []error{said("node-1", "no leader"), crashed("node-2", "boom", now)}, []string{"cannot call f on node-2", "\ncall f on node-1: no leader"}, "followed"},
		{"who gave up comes last", []error{said("node-1", "x"), fmt.Errorf("call f on node-2: %w", context.DeadlineExceeded)}, []string{"call f on node-1: x\ncall f on node-2: context deadline exceeded"}, ""},
		{"given up before", []error{fmt.Errorf("call f on node-1: %w", context.DeadlineExceeded), said("node-2", "x")}, []string{"call f on node-2: x\ncall f on node-1: context deadline exceeded"}, ""},
		{"the same everywhere", []error{said("node-1", "x"), said("node-2", "x"), said("node-3", "x")}, []string{"call f on node-1: x\n", "the same on node-2, node-3"}, "call f on node-2"},
		{"panics", []error{fmt.Errorf("call f on node-1: %w", &PanicError{Value: "x", Stack: "stack 1"}), fmt.Errorf("call f on node-2: %w", &PanicError{Value: "x", Stack: "stack 2"})}, []string{"call f on node-1: panic: x", "the same on node-2"}, "stack 2"},
		{"one alone", []error{nil, said("node-2", "x"), nil}, []string{"call f on node-2: x"}, "node-1"},
	} {
		names := make([]string, len(test.errs))
		for i := range names {
			names[i] = fmt.Sprintf("node-%d", i+1)
		}
		err := foldCalls(names, test.errs)
		rest := err.Error()
		for _, want := range test.want {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("%s: no %q, or not in its place:\n%v", test.name, want, err)
				break
			}
			rest = after
		}
		if test.not != "" && strings.Contains(err.Error(), test.not) {
			t.Errorf("%s: there is %q:\n%v", test.name, test.not, err)
		}
		for _, e := range test.errs {
			if e != nil && !errors.Is(err, e) {
				t.Errorf("%s: %q is not in the error", test.name, e)
			}
		}
	}
	if foldCalls([]string{"a", "b"}, []error{nil, nil}) != nil {
		t.Error("an error of none")
	}
	if !errors.Is(foldCalls([]string{"a", "b"}, []error{io.EOF, errors.New("x")}), io.EOF) {
		t.Error("what errors.Is found before is lost")
	}
}

func TestToldOnce(t *testing.T) {
	bad := func(test string) error {
		return diagnostics.Diagnose(diagnostics.Failure{Phase: diagnostics.PhaseConfig, Op: "have a cluster for " + test, Name: test, Err: errors.New("distributed.toml:3:1: unknown key\ndistributed.toml:4:1: another")})
	}
	var o told
	skipped := o.text("TestSkipped", true, bad("TestSkipped"))
	first := o.text("TestFirst", false, bad("TestFirst"))
	second := o.text("TestSecond", false, bad("TestSecond"))
	late := o.text("TestLate", true, bad("TestLate"))
	other := o.text("TestOther", false, diagnostics.Diagnose(diagnostics.Failure{Phase: diagnostics.PhaseConfig, Err: errors.New("distributed.toml:9:1: bad value")}))
	for _, whole := range []string{skipped, first, other} { // a skip is not seen without -v
		if !strings.Contains(whole, "remedy:") {
			t.Errorf("not whole:\n%s", whole)
		}
	}
	for _, short := range []string{second, late} {
		if strings.Contains(short, "remedy:") || !strings.Contains(short, "DIST-CONFIG-INVALID") || !strings.Contains(short, "unknown key") || !strings.Contains(short, "TestS") && !strings.Contains(short, "told in full by TestFirst") {
			t.Errorf("told again:\n%s", short)
		}
	}
	if !strings.Contains(second, "have a cluster for TestSecond") || !strings.Contains(second, "told in full by TestFirst") {
		t.Errorf("got\n%s", second)
	}
	if plain := o.text("TestPlain", false, io.EOF); plain != "EOF" {
		t.Errorf("got %q", plain)
	}
}

func TestFoldProblems(t *testing.T) {
	problem := func(node string, f diagnostics.Failure) manager.Problem {
		f.Phase, f.Node, f.Op = diagnostics.PhaseStop, node, "end "+node
		return manager.Problem{Node: node, Diagnosis: diagnostics.Diagnose(f), Fails: true}
	}
	left := func(node string) manager.Problem {
		return problem(node, diagnostics.Failure{Code: diagnostics.NodeExitUnnoticed, Exit: &diagnostics.Exit{Code: 1}})
	}
	panicked := problem("node-3", diagnostics.Failure{Code: diagnostics.NodePanic, Err: errors.New("a cleanup panicked: x")})
	got := foldProblems([]manager.Problem{left("node-1"), left("node-2"), panicked})
	if len(got) != 2 || got[0].Node != "node-3" || got[1].Node != "node-1" || !strings.Contains(got[1].Diagnosis.Error(), "the same on node-2") {
		t.Errorf("got %v", got)
	}
	told := left("node-2")
	told.Fails = false
	if got := foldProblems([]manager.Problem{left("node-1"), told}); len(got) != 2 {
		t.Errorf("what fails the test and what does not are one: %v", got)
	}
}
