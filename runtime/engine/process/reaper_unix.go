//go:build unix

package process

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/forkexec"
	"github.com/distkit/dist/runtime/inspect"
)

// A reaper is a child that outlives this process by a moment, to remove what it
// could not: files, and processes that left their groups. The idea is that of
// testcontainers' ryuk, without its container and its port.
type reaper struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// A task is what a reaper is told, once, when it starts.
type task struct {
	PID   int // of the test process
	Run   string
	Dir   string
	Entry string // file to remove last; "" if there is none
}

const fdTask = 3

// reaperNice gives the reaper less than half of the time that others get, while
// nodes start. It cannot have more later, when a machine may be overloaded and it
// is to clean up in a moment.
const reaperNice = 4

func startReaper(r *run) (*reaper, error) {
	failed := func(err error) error {
		return &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhaseExec, Op: "start the reaper of this run", Err: err}}
	}
	path, key, err := executable()
	if err != nil {
		return nil, failed(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, failed(err)
	}
	defer read.Close()
	title := "(dist: removes what run " + r.id + " leaves)"
	cmd := &exec.Cmd{
		Path: path,
		Args: []string{os.Args[0], title},
		// Not in the package's directory, which somebody may want to remove.
		Dir:        "/",
		Env:        append(withoutCoverage(os.Environ()), envReaper+"="+protocol+" "+key),
		ExtraFiles: []*os.File{read},
		// A ^C at the terminal is for the test process; this one must see it end.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	held, release := write, func() {}
	if end, files := shellWaits(path); end != nil {
		cmd.Path, cmd.Args = shell, []string{"sh", "-c", waiting, title}
		cmd.ExtraFiles = append(cmd.ExtraFiles, files...)
		held = end
		defer write.Close()
		release = func() {
			for _, f := range files {
				f.Close()
			}
		}
	}
	err = forkexec.Start(cmd)
	release()
	if err != nil {
		write.Close()
		held.Close()
		return nil, failed(err)
	}
	// It must be there, but need not be up before the nodes have done their work.
	unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, reaperNice)
	t := task{PID: os.Getpid(), Run: r.id, Dir: r.dir}
	<-r.entered
	if r.entry != nil {
		t.Entry = r.entry.Path()
	}
	b, err := json.Marshal(t)
	if err == nil {
		_, err = write.Write(append(b, '\n'))
	}
	if err != nil {
		write.Close()
		held.Close()
		cmd.Process.Kill()
		cmd.Wait()
		return nil, failed(err)
	}
	return &reaper{cmd: cmd, pipe: held}, nil
}

// waiting is what the shell does: when descriptor 4 ends, this test binary
// takes its place. It is held open as descriptor 5, since the go command removes
// it as soon as the test process has ended.
const waiting = `read -r _ <&4; exec /proc/self/fd/5 "$0" 4<&-`

// shellWaits has a shell wait for the end of the test process. It starts in a
// tenth of the time of a test binary and is a fraction of its size, and most
// runs never need what comes after it. The other end of the pipe it waits on is
// nil where the test binary itself has to wait.
func shellWaits(binary string) (end *os.File, files []*os.File) {
	if shell == "" || unix.Access(shell, unix.X_OK) != nil || unix.Access("/proc/self/fd", unix.X_OK) != nil {
		return nil, nil
	}
	bin, err := os.Open(binary)
	if err != nil {
		return nil, nil
	}
	wait, end, err := os.Pipe()
	if err != nil {
		bin.Close()
		return nil, nil
	}
	return end, []*os.File{wait, bin}
}

func withoutCoverage(env []string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, v := range env {
		if !strings.HasPrefix(v, "GOCOVERDIR=") {
			kept = append(kept, v)
		}
	}
	return kept
}

// dismiss ends the reaper: there is nothing left to remove.
func (r *reaper) dismiss() {
	r.cmd.Process.Kill()
	r.pipe.Close()
	r.cmd.Wait()
}

// reap is the reaper's whole life. It does not return.
func reap() {
	var st unix.Stat_t
	if err := unix.Fstat(fdTask, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		fmt.Fprintln(os.Stderr, "dist: this process was started as a reaper, but without its pipe")
		os.Exit(exitLost)
	}
	in := bufio.NewReader(os.NewFile(fdTask, "task"))
	line, err := in.ReadBytes('\n')
	var t task
	if err != nil || json.Unmarshal(line, &t) != nil {
		os.Exit(exitLost)
	}
	in.ReadByte() // until the test process ends
	// It gives up its descriptors one after the other, and others hold its locks. By
	// the time that it is not our parent any more it has none.
	for pause := time.Millisecond; os.Getppid() == t.PID; pause = min(2*pause, 50*time.Millisecond) {
		time.Sleep(pause)
	}
	cleanUp(t.Run, t.Dir)
	if t.Entry != "" {
		os.Remove(t.Entry)
	}
	inspect.Tidy()
	os.Exit(0)
}
