package procstat

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOf(t *testing.T) {
	s, ok := Of(os.Getpid())
	if !ok || s.PPID != os.Getppid() || s.PGRP != syscall.Getpgrp() || s.Threads < 2 || s.Zombie() || s.Start <= 0 {
		t.Errorf("of this process: %+v, %v", s, ok)
	}
	if pids, err := PIDs(); err != nil || !slices.Contains(pids, os.Getpid()) {
		t.Errorf("this process is not among those that may be seen, %v: %v", pids, err)
	}

	cmd := exec.Command("sh", "-c", "exit 3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	for { // until it can be reaped, which is not done
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			break
		}
	}
	if s, ok := Of(pid); !ok || !s.Zombie() || s.PPID != os.Getpid() || s.Exit != 3<<8 {
		t.Errorf("of a zombie: %+v, %v", s, ok)
	}
	cmd.Wait()
	if s, ok := Of(pid); ok {
		t.Errorf("of a process that is gone: %+v", s)
	}
}

const line = "7 (a) (b c) S 1 2 3 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 12 0 360000 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 768\n"

func TestParse(t *testing.T) {
	want := Stat{Comm: "a) (b c", State: "S", PPID: 1, PGRP: 2, CPU: 2 * time.Second, Threads: 12, Start: time.Hour, Exit: 768}
	if s, ok := Parse(line); !ok || s != want {
		t.Errorf("%+v, %v; want %+v", s, ok, want)
	}
	want = Stat{Comm: "a", State: "Z", PPID: 1, PGRP: 2}
	if s, ok := Parse("7 (a) Z 1 2"); !ok || s != want {
		t.Errorf("of an older kernel: %+v, %v; want %+v", s, ok, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(line)
	f.Add("7 )( S 1 2")
	f.Add("7 (a) S 1")
	f.Fuzz(func(t *testing.T, line string) {
		if s, ok := Parse(line); ok && (s.State == "" || strings.ContainsAny(s.State, " \t\n")) {
			t.Errorf("%q: %+v", line, s)
		}
	})
}
