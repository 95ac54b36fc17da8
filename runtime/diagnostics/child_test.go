package diagnostics

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// child is this test binary again, told to do one of children.
func child(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// exitOf runs cmd to its end and returns how it ended and what it wrote.
func exitOf(t *testing.T, cmd *exec.Cmd) (*Exit, []string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return exitStatus(cmd.ProcessState), strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func exitStatus(ps *os.ProcessState) *Exit {
	e := &Exit{Code: ps.ExitCode()}
	if signal, ok := strings.CutPrefix(ps.String(), "signal: "); ok {
		e.Signal = strings.TrimSuffix(signal, " (core dumped)")
	}
	return e
}

// TestExit lets processes end in every way and asks what became of them.
func TestExit(t *testing.T) {
	tests := []struct {
		name  string
		child string
		args  []string
		f     Failure
		want  Code
		cause string // a part of it
	}{
		{"early", "exit", nil, Failure{Phase: PhaseHandshake}, NodeExitEarly, "its last words: no license found"},
		{"early with TestMain", "exit", nil, Failure{Phase: PhaseHandshake, OwnTestMain: true}, NodeTestMain, "TestMain"},
		{"init panic", "init-panic", nil, Failure{Phase: PhaseHandshake}, NodeInitPanic, " panicked: runtime error: index out of range [1] with length 0"},
		{"TestMain panic", "testmain-panic", nil, Failure{Phase: PhaseHandshake}, NodeTestMain, "TestMain panicked before it reached dist.Main: no database"},
		{"early panic", "panic", nil, Failure{Phase: PhaseHandshake}, NodePanic, "boom"},
		{"flag", "", []string{"-nosuch"}, Failure{Phase: PhaseHandshake}, NodeFlags, "does not know: -nosuch"},
		{"runs tests", "", []string{"-test.run=^TestNone$"}, Failure{Phase: PhaseHandshake, Node: "node-1"}, BootstrapTestMain, "node-1 ran the tests instead of becoming a node (exit status 0)"},
		{"in use", "exit", nil, Failure{Phase: PhaseCall}, NodeExit, "without a panic: os.Exit, log.Fatal or the end of main; its last words: no license found"},
		{"panic in use", "panic", nil, Failure{Phase: PhaseCall}, NodePanic, "boom"},
		{"unnoticed", "exit", nil, Failure{Phase: PhaseStop}, NodeExitUnnoticed, "between calls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.f
			f.Exit, f.Log = exitOf(t, child(t, tt.child, tt.args...))
			measure(t, &f)
			check(t, f, tt.want, tt.cause)
		})
	}
}

// check diagnoses f and compares the code, and parts of the cause.
func check(t *testing.T, f Failure, code Code, cause string) *Diagnosis {
	t.Helper()
	d := Diagnose(f)
	if d.Code != code || !strings.Contains(d.Cause, cause) {
		t.Errorf("got %s: %s\nwant %s: %s\n\n%s", d.Code, d.Cause, code, cause, d.Error())
	}
	return d
}

// measure is Gather without its bound: on a busy machine, a test waits.
func measure(t *testing.T, f *Failure) {
	gather(t.Context(), &f.Facts, probes(f))
}
