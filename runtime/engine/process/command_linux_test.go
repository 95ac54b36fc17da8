package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
)

// A programLife is what a program says of itself, on its first line of output.
type programLife struct {
	Env          []string
	Args         []string
	Dir          string
	FDs          []string
	Child, Stray int
}

// program is a program that knows nothing of dist. Its arguments are what it
// is to do.
func program() {
	args := os.Args[1:]
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, unix.SIGTERM)
	if slices.Contains(args, "close") {
		for fd := 3; fd < 100; fd++ {
			unix.Close(fd)
		}
	}
	life := programLife{Env: os.Environ(), Args: os.Args}
	life.Dir, _ = os.Getwd()
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			life.FDs = append(life.FDs, fd.Name()+" "+target)
		}
	}
	if slices.Contains(args, "spawn") {
		for _, session := range []bool{false, true} {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), "DIST_TEST_ROLE=sleeper")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
			if err := cmd.Start(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			if session {
				life.Stray = cmd.Process.Pid
			} else {
				life.Child = cmd.Process.Pid
			}
		}
	}
	json.NewEncoder(os.Stdout).Encode(life)
	<-terms
	fmt.Println("terminated")
	os.Exit(4)
}

// programCommand is this binary as a program.
func programCommand(args ...string) engine.Command {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return engine.Command{Path: path, Args: args, Env: append(os.Environ(), "DIST_TEST_ROLE=program")}
}

// lifeOf waits for a program's first line.
func lifeOf(n engine.Node) (life programLife, err error) {
	for {
		b, err := os.ReadFile(n.LogFile())
		if err != nil {
			return life, err
		}
		if line, _, ok := bytes.Cut(b, []byte("\n")); ok {
			return life, json.Unmarshal(line, &life)
		}
		select {
		case <-n.Done():
			exit := n.Exit()
			return life, fmt.Errorf("it ended: %s: %s", &exit, b)
		case <-time.After(time.Millisecond): // a file has no other way to tell
		}
	}
}

func runProgram(t *testing.T, e *Engine, c engine.Command) (*node, programLife) {
	t.Helper()
	n, err := e.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Kill() })
	life, err := lifeOf(n)
	if err != nil {
		t.Fatal(err)
	}
	return n.(*node), life
}

// drivePrograms is the driver's part with programs for nodes: one that runs,
// one that is stopped, and one that has closed its lifeline.
func drivePrograms(e *Engine, fail func(error)) (c crew) {
	for i, args := range [][]string{{"spawn"}, {"spawn"}, {"spawn", "close"}} {
		n, err := e.Run(context.Background(), programCommand(args...))
		fail(err)
		life, err := lifeOf(n)
		fail(err)
		c.Nodes = append(c.Nodes, n.PID())
		c.Children = append(c.Children, life.Child)
		c.Strays = append(c.Strays, life.Stray)
		if i == 1 {
			fail(n.Pause())
		}
	}
	// Told apart by startDriver: the third's group is for the reaper, too.
	c.Strays = append(c.Strays, c.Nodes[2], c.Children[2])
	c.Nodes, c.Children = c.Nodes[:2], c.Children[:2]
	return c
}

func TestProgramRunsAndEnds(t *testing.T) {
	state(t)
	e := open(t)
	dir := filepath.Join(t.TempDir(), "with spaces")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "program.log")
	// What a fuzz worker is given by the go command, and would pass on.
	f, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	leaky, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leaky)

	c := programCommand("an argument", "")
	c.Dir, c.Log = dir, log
	c.Env = append(c.Env, "OWN=yes")
	n, life := runProgram(t, e, c)
	if n.Conn() != nil || n.LogFile() != log {
		t.Errorf("control channel %v, log %s", n.Conn(), n.LogFile())
	}
	if !slices.Equal(life.Args[1:], c.Args) || life.Dir != dir || !slices.Contains(life.Env, "OWN=yes") || !slices.Contains(life.Env, envRun+"="+n.id) {
		t.Errorf("it was started as %+v", life)
	}
	for _, fd := range life.FDs {
		if strings.Contains(fd, "/dev/zero") {
			t.Errorf("it has a descriptor of the test process: %s", fd)
		}
	}
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := n.Interrupt("SIGTERM"); err != nil {
		t.Fatal(err)
	}
	if s := status(t, n.PID()); s != "T" {
		t.Errorf("interrupted while paused, it is in state %s", s)
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	<-n.Done()
	if exit := n.Exit(); exit.Code != 4 || engine.Tail(log, 1)[0] != "terminated" {
		t.Errorf("it ended by %s: %q", &exit, engine.Tail(log, 2))
	}
	if err := n.Interrupt("SIGTERM"); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("interrupted after its end: %v", err)
	}
	if err := n.Interrupt("SIGNONE"); err == nil || errors.Is(err, os.ErrProcessDone) {
		t.Errorf("an unknown signal: %v", err)
	}
}

func TestEndOfProgramTakesItsGroup(t *testing.T) {
	state(t)
	e := open(t)
	for _, end := range []string{"kill", "interrupt"} {
		n, life := runProgram(t, e, programCommand("spawn"))
		child, stray := watch(t, life.Child), watch(t, life.Stray)
		if end == "kill" {
			n.Kill()
		} else {
			n.Interrupt("SIGTERM")
			<-n.Done()
		}
		mustGo(t, end+": its child", child)
		if found := e.Sweep([]engine.Node{n}); len(found) != 1 {
			t.Errorf("%s: swept %q, want what left the group", end, found)
		}
		mustGo(t, end+": the child that left its group", stray)
	}
}

func TestNoProgramOutlivesTheTestProcess(t *testing.T) {
	for _, how := range []string{"kill -9", "panic"} {
		t.Run(how, func(t *testing.T) {
			cache, tmp := state(t)
			cmd, stdin, _, all := startDriver(t, "DIST_TEST_PROGRAMS=1")
			if how == "panic" {
				stdin.Close()
			} else {
				cmd.Process.Kill()
			}
			for what, list := range all {
				for _, w := range list {
					if what == "child that left the group" {
						w.gone(30 * time.Second) // the reaper has to be scheduled
					}
					mustGo(t, what, w)
				}
			}
			empty(t, tmp, filepath.Join(cache, "dist", "runs"))
		})
	}
}

// Without the reaper it is the lifeline alone that ends programs.
func TestLifelineEndsPrograms(t *testing.T) {
	state(t)
	cmd, _, _, all := startDriver(t, "DIST_TEST_PROGRAMS=1", "DIST_TEST_NO_REAPER=1")
	cmd.Process.Kill()
	cmd.Wait()
	for _, what := range []string{"node", "child in the group"} {
		for _, w := range all[what] {
			mustGo(t, what, w)
		}
	}
	for _, w := range all["child that left the group"] {
		if w.gone(0) {
			t.Error("what closed its lifeline, or left its group, is gone: this test shows nothing")
		}
		unix.Kill(w.pid, unix.SIGKILL)
	}
}

func TestRunFailures(t *testing.T) {
	state(t)
	e := open(t)
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	busy := file("busy", "#!/bin/sh\n", 0o700)
	writer, err := os.OpenFile(busy, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	foreign := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x16\x00" + strings.Repeat("\x00", 44) // s390x
	tests := []struct {
		name  string
		c     engine.Command
		phase diagnostics.Phase
		err   error
		code  diagnostics.Code
	}{
		{"not there", engine.Command{Path: filepath.Join(dir, "none")}, diagnostics.PhaseExec, syscall.ENOENT, diagnostics.ExecNotFound},
		{"not executable", engine.Command{Path: file("data", "#!/bin/sh\n", 0o600)}, diagnostics.PhaseExec, syscall.EACCES, diagnostics.ExecPermission},
		{"a directory", engine.Command{Path: dir}, diagnostics.PhaseExec, syscall.EACCES, diagnostics.ExecPermission},
		{"no program", engine.Command{Path: file("text", "hello", 0o700)}, diagnostics.PhaseExec, syscall.ENOEXEC, diagnostics.ExecFormat},
		{"another machine's", engine.Command{Path: file("foreign", foreign, 0o700)}, diagnostics.PhaseExec, syscall.ENOEXEC, diagnostics.ExecFormat},
		{"no interpreter", engine.Command{Path: file("script", "#!/no/such/sh\n", 0o700)}, diagnostics.PhaseExec, syscall.ENOENT, diagnostics.ExecInterpreter},
		{"being written", engine.Command{Path: busy}, diagnostics.PhaseExec, syscall.ETXTBSY, diagnostics.ExecBusy},
		{"arguments too long", engine.Command{Path: "/bin/sh", Args: []string{strings.Repeat("x", 4<<20)}}, diagnostics.PhaseExec, syscall.E2BIG, diagnostics.ExecArgsTooLong},
		{"no directory", engine.Command{Path: "/bin/sh", Dir: filepath.Join(dir, "none")}, diagnostics.PhaseExec, syscall.ENOENT, diagnostics.DirMissing},
		{"no log", engine.Command{Path: "/bin/sh", Log: filepath.Join(dir, "none", "log")}, diagnostics.PhasePrepare, syscall.ENOENT, diagnostics.DirMissing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := e.Run(t.Context(), test.c)
			f := failureOf(t, err)
			if f.Phase != test.phase || !errors.Is(err, test.err) {
				t.Errorf("%+v, want %v in phase %s", f, test.err, test.phase)
			}
			diagnostics.Gather(t.Context(), &f)
			if d := diagnostics.Diagnose(f); d.Code != test.code {
				t.Errorf("diagnosis %s, want %s:\n%v", d.Code, test.code, d)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Run(ctx, programCommand()); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}
