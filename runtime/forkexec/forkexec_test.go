//go:build unix

package forkexec

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const envLife = "DIST_TEST_FORKEXEC"

func TestMain(m *testing.M) {
	switch os.Getenv(envLife) {
	case "":
		os.Exit(m.Run())
	case "child":
	case "limit":
		atLimit()
	}
}

const most = 64

// atLimit starts children with a descriptor of an ever higher number, and prints how
// each ended.
func atLimit() {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		fmt.Println("no limit:", err)
		return
	}
	os.Setenv(envLife, "child")
	os.Setenv("GORACE", "atexit_sleep_ms=0") // not a second for each
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	var open []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		open = append(open, f)
	}
	// All that is high is open: what is freed below is where the pipe of package
	// syscall comes to be.
	for _, f := range open[:10] {
		f.Close()
	}
	for _, f := range append(open[10:11:11], open[len(open)-3:]...) {
		cmd := &exec.Cmd{Path: self, Args: []string{self}, ExtraFiles: []*os.File{f}, Stdin: f}
		err := Start(cmd)
		if err == nil {
			err = cmd.Wait()
		}
		fmt.Printf("%d: %v, %v\n", f.Fd(), errors.Is(err, syscall.EMFILE), err)
	}
	// Not the limit: there is no such descriptor.
	last := open[len(open)-1]
	closed := os.NewFile(last.Fd(), "closed")
	unix.Close(int(last.Fd()))
	err = Start(&exec.Cmd{Path: self, Args: []string{self}, ExtraFiles: []*os.File{closed}})
	fmt.Printf("closed: %v, %v\n", errors.Is(err, syscall.EMFILE), err)
}

// A copy beyond the limit is EMFILE, and nothing else is.
func TestLimit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envLife+"=limit")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	started, refused, closed := 0, 0, 0
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		name, what, _ := strings.Cut(line, ": ")
		switch {
		case name == "closed":
			closed++
			if !strings.HasPrefix(what, "false, ") || !strings.Contains(what, "bad file descriptor") {
				t.Error(line)
			}
		case what == "false, <nil>":
			started++
		case strings.HasPrefix(what, "true, fork/exec ") && strings.Contains(what, "bad file descriptor: too many open files"):
			refused++
		default:
			t.Error(line)
		}
	}
	if started == 0 || refused == 0 || closed != 1 {
		t.Errorf("%d have been started, %d not, %d with a closed descriptor:\n%s", started, refused, closed, out)
	}
}

// Far from the limit there is nothing to explain.
func TestNotTheLimit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fd := r.Fd()
	gone := os.NewFile(uintptr(1<<20), "never opened")
	for _, cmd := range []*exec.Cmd{
		{Path: self, ExtraFiles: []*os.File{gone}},
		{Path: self, Stderr: new(strings.Builder), ExtraFiles: []*os.File{gone}},
	} {
		if err := Start(cmd); !errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.EMFILE) {
			t.Errorf("started with a descriptor that is not open: %v", err)
		}
		if cmd.Stdin != nil || cmd.Stdout != nil {
			t.Error("the command has been changed")
		}
	}
	if err := Explain(syscall.EBADF, 4, int(fd)); err != syscall.EBADF {
		t.Error(err)
	}
	r.Close()
	if err := Explain(syscall.ENOENT, 4); err != syscall.ENOENT {
		t.Error(err)
	}
}
