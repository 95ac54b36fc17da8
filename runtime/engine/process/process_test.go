//go:build linux

package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/procstat"
	"github.com/distkit/dist/runtime/wire"
)

// The test binary plays all parts: the tests, nodes, what nodes start, and a
// test process that is killed.
func TestMain(m *testing.M) {
	if c := Inherited(); c != nil {
		fmt.Println("a node")
		if v, ok := os.LookupEnv("DIST_TEST_EARLY_EXIT"); ok {
			code, _ := strconv.Atoi(v)
			fmt.Println("leaving early")
			os.Exit(code)
		}
		if _, ok := os.LookupEnv("DIST_TEST_HANG"); ok {
			<-time.After(time.Hour)
		}
		c.Serve(nodeLife, func(*wire.Conn) {})
		c.Abandoned()
	}
	switch os.Getenv("DIST_TEST_ROLE") {
	case "sleeper":
		<-time.After(time.Hour)
	case "nothing":
		return
	case "program":
		program()
	case "driver":
		drive()
	case "limit":
		startAtLimit()
		return
	}
	os.Exit(m.Run())
}

func nodeLife(_ context.Context, method string, body []byte) ([]byte, error) {
	switch method {
	case "spawn", "spawn-session":
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "DIST_TEST_ROLE=sleeper")
		if method == "spawn-session" {
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return []byte(strconv.Itoa(cmd.Process.Pid)), nil
	case "fork": // and again, for as long as it lives
		for range 4 {
			go func() {
				for {
					cmd := exec.Command("/proc/self/exe")
					cmd.Env = append(os.Environ(), "DIST_TEST_ROLE=nothing")
					cmd.Run()
				}
			}()
		}
	case "exit":
		os.Exit(int(body[0]))
	case "env":
		return []byte(strings.Join(os.Environ(), "\n")), nil
	case "fds":
		var open []string
		fds, err := os.ReadDir("/proc/self/fd")
		for _, fd := range fds {
			target, err := os.Readlink("/proc/self/fd/" + fd.Name())
			if err == nil {
				open = append(open, fd.Name()+" "+target)
			}
		}
		return []byte(strings.Join(open, "\n")), err
	}
	return body, nil
}

// state points HOME and TMPDIR at directories of the test, so that it can see
// all that is left behind.
func state(t *testing.T) (cache, tmp string) {
	t.Helper()
	cache, tmp = t.TempDir(), filepath.Join(t.TempDir(), "with spaces")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("TMPDIR", tmp)
	return cache, tmp
}

func open(t *testing.T) *Engine {
	t.Helper()
	e := New()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func start(t *testing.T, e *Engine, env ...string) *node {
	t.Helper()
	n, err := e.Start(t.Context(), engine.Spec{Env: append(os.Environ(), env...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Kill() })
	return n.(*node)
}

func ask(t *testing.T, n *node, method string) string {
	t.Helper()
	b, err := n.Conn().Call(t.Context(), method, nil)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return string(b)
}

func spawned(t *testing.T, n *node, method string) watched {
	t.Helper()
	pid, err := strconv.Atoi(ask(t, n, method))
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, pid)
}

// A watched process can be waited for, whoever its parent is.
type watched struct{ pid, fd int }

func watch(t *testing.T, pid int) watched {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d is not there to be watched: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return watched{pid, fd}
}

func (w watched) gone(within time.Duration) bool {
	for deadline := time.Now().Add(within); ; {
		p := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, max(0, int(time.Until(deadline).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		return err == nil && n > 0
	}
}

func mustGo(t *testing.T, what string, w watched) {
	t.Helper()
	if !w.gone(time.Second) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.pid))
		t.Errorf("%s (process %d, %q) is still there after a second", what, w.pid, cmdline)
		unix.Kill(w.pid, unix.SIGKILL)
	}
}

func TestNodeAnswersAndEnds(t *testing.T) {
	_, tmp := state(t)
	e := open(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			n, err := e.Start(t.Context(), engine.Spec{Env: os.Environ()})
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := n.Conn().Call(t.Context(), "echo", []byte("x")); err != nil || string(got) != "x" {
				t.Errorf("echo: %q, %v", got, err)
			}
			w := watch(t, n.PID())
			if err := n.Kill(); err != nil {
				t.Error(err)
			}
			if !w.gone(0) {
				t.Error("Kill returned before the node was gone")
			}
			if exit := n.Exit(); exit.Signal != "killed" {
				t.Errorf("killed node: %v", &exit)
			}
			if err := n.Kill(); err != nil {
				t.Errorf("second Kill: %v", err)
			}
			if err := n.Pause(); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("Pause of a dead node: %v", err)
			}
			if tail := engine.Tail(n.LogFile(), 3); len(tail) != 1 || tail[0] != "a node" {
				t.Errorf("log: %q", tail)
			}
		})
	}
	wg.Wait()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left in the temporary directory: %v", left)
	}
}

func TestNodeInheritsNothing(t *testing.T) {
	state(t)
	// What a fuzz worker is given by the go command, and passes on.
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
	t.Setenv("DIST_TEST_VISIBLE", "yes")
	n := start(t, open(t))
	if fds := ask(t, n, "fds"); strings.Contains(fds, "/dev/zero") {
		t.Errorf("a descriptor of the test process is open in the node:\n%s", fds)
	}
	env := ask(t, n, "env")
	for _, line := range strings.Split(env, "\n") {
		if strings.HasPrefix(line, envNode+"=") || strings.HasPrefix(line, envReaper+"=") {
			t.Errorf("user code sees %s", line)
		}
	}
	if !strings.Contains(env, "DIST_TEST_VISIBLE=yes") || !strings.Contains(env, envRun+"=") {
		t.Errorf("environment of the node:\n%s", env)
	}
}

func TestPauseAndResume(t *testing.T) {
	state(t)
	n := start(t, open(t))
	for range 20 { // a stop must not be taken for a later one
		for range 2 { // the second time it is stopped already
			if err := n.Pause(); err != nil {
				t.Fatal(err)
			}
		}
		if s := status(t, n.PID()); s != "T" {
			t.Fatalf("Pause returned and the process is in state %s", s)
		}
		if err := n.Resume(); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, n, "echo"); got != "" {
			t.Fatal(got)
		}
	}
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := n.Kill(); err != nil {
		t.Error(err)
	}
}

// TestPauseWhileItForks: what a child that is stopped before it has become a
// program of its own keeps from stopping is stopped all the same.
func TestPauseWhileItForks(t *testing.T) {
	state(t)
	n := start(t, open(t))
	ask(t, n, "fork")
	for range 30 {
		if err := n.Pause(); err != nil {
			t.Fatal(err)
		}
		if s := status(t, n.PID()); s != "T" {
			t.Fatalf("Pause returned and the process is in state %s", s)
		}
		if err := n.Resume(); err != nil {
			t.Fatal(err)
		}
		ask(t, n, "echo")
	}
}

func TestGroupLives(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "DIST_TEST_ROLE=sleeper")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !groupLives(cmd.Process.Pid) {
		t.Error("a process that runs is not found")
	}
	cmd.Process.Kill()
	awaitExit(cmd, -1)
	if groupLives(cmd.Process.Pid) {
		t.Error("a zombie is taken for a process that runs")
	}
	cmd.Wait()
}

func status(t *testing.T, pid int) string {
	t.Helper()
	s, ok := procstat.Of(pid)
	if !ok {
		t.Fatalf("process %d is gone", pid)
	}
	return s.State
}

func TestEndOfNodeTakesItsGroup(t *testing.T) {
	state(t)
	e := open(t)
	for _, end := range []string{"killed", "exit"} {
		n := start(t, e)
		child := spawned(t, n, "spawn")
		if end == "killed" {
			n.Kill()
		} else {
			n.Conn().Call(t.Context(), "exit", []byte{3})
			<-n.Done()
			if exit := n.Exit(); exit.Code != 3 {
				t.Errorf("exit: %v", &exit)
			}
		}
		mustGo(t, end+": its child", child)
	}
}

func TestSweepFindsWhatLeftTheGroup(t *testing.T) {
	state(t)
	e := open(t)
	mine, other := start(t, e), start(t, e)
	left, stays := spawned(t, mine, "spawn-session"), spawned(t, other, "spawn-session")
	mine.Kill()
	if left.gone(0) {
		t.Fatal("the child left its group and still ended with it: this test shows nothing")
	}
	found := e.Sweep([]engine.Node{mine})
	mustGo(t, "a child of a node that ended", left)
	if len(found) != 1 || !strings.Contains(found[0], strconv.Itoa(left.pid)) {
		t.Errorf("found: %q", found)
	}
	if stays.gone(0) {
		t.Error("the child of another node was swept, too")
	}
	other.Kill()
	e.Sweep([]engine.Node{other})
	mustGo(t, "the other node's child", stays)
}

func failureOf(t *testing.T, err error) diagnostics.Failure {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no engine.Error", err)
	}
	return e.Failure
}

func TestStartFailures(t *testing.T) {
	state(t)
	e := open(t)
	begin := time.Now()
	_, err := e.Start(t.Context(), engine.Spec{Env: append(os.Environ(), "DIST_TEST_EARLY_EXIT=7")})
	f := failureOf(t, err)
	if f.Phase != diagnostics.PhaseHandshake || f.Exit == nil || f.Exit.Code != 7 || !strings.Contains(strings.Join(f.Log, "\n"), "leaving early") {
		t.Errorf("exit before the handshake: %+v", f)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("an early exit was noticed after %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = e.Start(ctx, engine.Spec{Env: append(os.Environ(), "DIST_TEST_HANG=1")})
	if f := failureOf(t, err); f.Phase != diagnostics.PhaseHandshake || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("handshake that never comes: %+v", f)
	}
	_, err = e.Start(t.Context(), engine.Spec{Env: append(os.Environ(), "HUGE="+strings.Repeat("x", 4<<20))})
	if f := failureOf(t, err); f.Phase != diagnostics.PhaseExec || !errors.Is(err, syscall.E2BIG) {
		t.Errorf("environment too large: %+v", f)
	}
}

func TestUnusableTemporaryDirectory(t *testing.T) {
	state(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", file)
	e := open(t)
	_, err := e.Start(t.Context(), engine.Spec{Env: os.Environ()})
	if f := failureOf(t, err); f.Phase != diagnostics.PhasePrepare || !strings.HasPrefix(f.Path, file) {
		t.Errorf("%+v", f)
	}
	// The cause can pass, and the engine notices.
	t.Setenv("TMPDIR", t.TempDir())
	start(t, e)
}

// The variable alone makes no node, and a process that was meant to be one and
// cannot must not run the tests.
func TestVariableWithoutDescriptors(t *testing.T) {
	_, key, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		value string
		code  int
	}{
		{protocol + " " + key, exitLost},
		{protocol + " 1:2", 0}, // another program's
		{"nonsense", 0},
	} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^$")
		cmd.Env = append(os.Environ(), envNode+"="+test.value)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != test.code {
			t.Errorf("%q: exit status %d, want %d\n%s", test.value, code, test.code, out)
		}
	}
}

// A crew is what a driver has started.
type crew struct {
	Nodes, Children, Strays []int
	Dir                     string
}

// drive is a test process: it starts nodes, stops one of them, and waits to be
// killed.
func drive() {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	e := New()
	var c crew
	if os.Getenv("DIST_TEST_PROGRAMS") != "" {
		c = drivePrograms(e, fail)
	}
	for i := range 3 - len(c.Nodes) {
		n, err := e.Start(ctx, engine.Spec{Env: os.Environ()})
		fail(err)
		c.Nodes = append(c.Nodes, n.PID())
		for method, list := range map[string]*[]int{"spawn": &c.Children, "spawn-session": &c.Strays} {
			b, err := n.Conn().Call(ctx, method, nil)
			fail(err)
			pid, err := strconv.Atoi(string(b))
			fail(err)
			*list = append(*list, pid)
		}
		if i == 1 {
			fail(n.Pause())
		}
		if i == 2 { // its children outlive it
			pid := n.PID()
			c.Nodes = c.Nodes[:2]
			fail(unix.Kill(pid, unix.SIGKILL))
		}
	}
	c.Dir, _ = e.Root()
	if os.Getenv("DIST_TEST_NO_REAPER") != "" {
		e.run.reaper.dismiss()
	}
	fail(json.NewEncoder(os.Stdout).Encode(c))
	bufio.NewReader(os.Stdin).ReadByte()
	panic("the test process panics")
}

// startDriver starts a test process with nodes, and watches all of them.
func startDriver(t *testing.T, env ...string) (cmd *exec.Cmd, in interface{ Close() error }, c crew, all map[string][]watched) {
	t.Helper()
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), "DIST_TEST_ROLE=driver"), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadBytes('\n')
	if err := json.Unmarshal(line, &c); err != nil {
		t.Fatalf("the driver says %q", line)
	}
	all = make(map[string][]watched)
	for what, pids := range map[string][]int{"node": c.Nodes, "child in the group": c.Children[:2], "child that left the group": c.Strays} {
		for _, pid := range pids {
			all[what] = append(all[what], watch(t, pid))
		}
	}
	return cmd, stdin, c, all
}

func TestNothingOutlivesTheTestProcess(t *testing.T) {
	for _, how := range []string{"kill -9", "panic"} {
		t.Run(how, func(t *testing.T) {
			cache, tmp := state(t)
			cmd, stdin, c, all := startDriver(t)
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
			if _, err := os.Stat(c.Dir); err == nil {
				t.Errorf("%s is still there", c.Dir)
			}
		})
	}
}

// A test process that dies gives up its descriptors one after the other, and what
// it has locked may be among the last: the reaper waits until it is gone.
func TestReaperWaitsForTheEnd(t *testing.T) {
	state(t)
	e := open(t)
	start(t, e)
	e.Guard()
	e.run.reaper.pipe.Close()
	reaper := e.run.reaper.cmd
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		awaitExit(reaper, -1)
	}()
	select {
	case <-ended:
		t.Error("the reaper did not wait for this process, which lives")
	case <-time.After(500 * time.Millisecond):
	}
	if dir, err := e.Root(); err != nil {
		t.Error(err)
	} else if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// empty waits until directories have nothing in them, as the reaper makes them.
func empty(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		for deadline := time.Now().Add(time.Minute); ; {
			left, err := os.ReadDir(dir)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("left in %s: %v", dir, left)
				break
			}
			time.Sleep(time.Millisecond) // the reaper is no child of ours
		}
	}
}

// Even with its reaper gone, what a run leaves is found by the next one.
func TestNextRunSweepsDeadOnes(t *testing.T) {
	cache, tmp := state(t)
	cmd, _, c, all := startDriver(t, "DIST_TEST_NO_REAPER=1")
	cmd.Process.Kill()
	cmd.Wait()
	for _, what := range []string{"node", "child in the group"} {
		for _, w := range all[what] {
			mustGo(t, what, w)
		}
	}
	for _, w := range all["child that left the group"] {
		if w.gone(0) {
			t.Fatal("a child that left the group has ended: this test shows nothing")
		}
	}
	if _, err := os.Stat(c.Dir); err != nil {
		t.Fatal(err)
	}
	e := open(t)
	start(t, e)
	for _, w := range all["child that left the group"] {
		mustGo(t, "child that left the group", w)
	}
	e.Close()
	empty(t, tmp, filepath.Join(cache, "dist", "runs"))
}

// The same, for people: first said, then removed.
func TestLeftovers(t *testing.T) {
	cache, tmp := state(t)
	cmd, _, c, all := startDriver(t, "DIST_TEST_NO_REAPER=1")
	if left, err := Leftovers(); err != nil || len(left) > 0 {
		t.Fatalf("a run that lives is left over: %v, %v", left, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for _, w := range all["child in the group"] {
		mustGo(t, "child in the group", w)
	}
	left, err := Leftovers()
	if err != nil || len(left) != 1 {
		t.Fatalf("left over: %v, %v", left, err)
	}
	if l := left[0]; l.Dir != c.Dir || runtime.GOOS == "linux" && len(l.Processes) == 0 {
		t.Errorf("left over: %+v, the run's directory was %s", l, c.Dir)
	}
	for _, w := range all["child that left the group"] {
		if w.gone(0) {
			t.Fatal("looking has ended a process")
		}
	}
	if !left[0].Remove() {
		t.Error("it was somebody's")
	}
	for _, w := range all["child that left the group"] {
		mustGo(t, "child that left the group", w)
	}
	if left[0].Remove() {
		t.Error("removed twice")
	}
	empty(t, tmp, filepath.Join(cache, "dist", "runs"))
}

// Entries are read with suspicion: whatever they say, only what is ours goes.
func TestHostileEntries(t *testing.T) {
	cache, tmp := state(t)
	runs := filepath.Join(cache, "dist", "runs")
	if err := os.MkdirAll(runs, 0o700); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(tmp, "precious")
	if err := os.Mkdir(precious, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, content := range []string{
		"", "{", "null", "[]", `{"Version":99}`, strings.Repeat("x", 1<<20),
		`{"Version":1,"Run":"aaaaaaaaaaaaaaaa","Dir":"` + precious + `"}`,
		`{"Version":1,"Run":"../../../../precious","Dir":"` + tmp + `/dist-../../precious"}`,
		`{"Version":1,"Run":"","Dir":"/"}`,
	} {
		if err := os.WriteFile(filepath.Join(runs, strconv.Itoa(i)+entrySuffix), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sweepDeadRuns()
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(runs); len(left) > 0 {
		t.Errorf("entries of no run are left: %v", left)
	}
}

// A run that is killed before it has an entry leaves a directory that nobody
// holds: the next run removes it, and no other.
func TestSweepDirectoryWithoutEntry(t *testing.T) {
	_, tmp := state(t)
	live, err := lockfile.MakeDir(filepath.Join(tmp, dirPrefix+"alivealivealivea"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Remove()
	dead := filepath.Join(tmp, dirPrefix+"deaddeaddeaddead")
	keep := []string{live.Path(), filepath.Join(tmp, dirPrefix+"not-an-id-of-16c"), filepath.Join(tmp, dirPrefix+"opentoeverybodyx"), filepath.Join(tmp, "."+dirPrefix+"beingmadebeingma")}
	unmade := filepath.Join(tmp, "."+dirPrefix+"unmadeunmadeunma")
	for _, dir := range append(slices.Clone(keep[1:]), dead, unmade) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(keep[2], 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(unmade, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "1.log"), []byte("last words"), 0o600); err != nil {
		t.Fatal(err)
	}
	left, err := Leftovers()
	if err != nil || len(left) != 2 || !slices.ContainsFunc(left, func(l Leftover) bool { return l.Dir == dead }) {
		t.Errorf("left over: %+v, %v", left, err)
	}
	e := open(t)
	start(t, e)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		_, err := os.Stat(dead)
		if _, err2 := os.Stat(unmade); os.IsNotExist(err) && os.IsNotExist(err2) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s or %s is still there", dead, unmade)
		}
	}
	root, err := e.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(keep, root) {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
}
