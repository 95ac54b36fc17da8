package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/procstat"
)

// envMark is in the environment of all that a round has started: what is not
// marked is never touched.
const envMark = "TORTURE_MARK"

// A victim is one process of a round.
type victim struct {
	pid  int
	role string // test | node | program | reaper | go | dist | stray | other
	cmd  string
	raw  string // the same, as the kernel has it
}

// marked finds the processes of a round.
func marked(mark string) (found []victim) {
	pids, _ := procstat.PIDs()
	for _, pid := range pids {
		if pid != os.Getpid() {
			if v, ok := look(pid, mark); ok {
				found = append(found, v)
			}
		}
	}
	return found
}

func look(pid int, mark string) (v victim, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	env, err := os.ReadFile(dir + "/environ")
	if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+envMark+"="+mark+"\x00")) {
		return v, false
	}
	b, _ := os.ReadFile(dir + "/cmdline")
	args := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	v = victim{pid, "other", strings.Join(args, " "), string(b)}
	base := filepath.Base(args[0])
	isNode := bytes.Contains(env, []byte("\x00DIST_RUN_ID=")) || bytes.HasPrefix(env, []byte("DIST_RUN_ID="))
	switch {
	case slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "(dist: removes") }):
		v.role = "reaper"
	case base == "server":
		v.role = "program"
	case base == "sleep":
		v.role = "stray"
	case base == "dist":
		v.role = "dist"
	case base == "go":
		v.role = "go"
	case isNode:
		v.role = "node"
	case strings.HasSuffix(base, ".test"):
		v.role = "test"
	}
	if v.role == "test" || v.role == "go" || v.role == "dist" {
		// Between fork and exec a child is its parent by all that can be seen, shares
		// its memory, and had better not get a signal that nobody sends it.
		if s, ok := procstat.Of(pid); ok {
			if b, err := os.ReadFile("/proc/" + strconv.Itoa(s.PPID) + "/cmdline"); err == nil && string(b) == v.raw {
				v.role = "other"
			}
		}
	}
	return v, true
}

// strike does one kill of the schedule, and says who it was; "" if there was
// nobody. The process is held by a pidfd before it is looked at again.
func strike(k kill, mark string) string {
	var of []victim
	for _, v := range marked(mark) {
		if v.role == k.Victim {
			of = append(of, v)
		}
	}
	if len(of) == 0 {
		return ""
	}
	slices.SortFunc(of, func(a, b victim) int { return a.pid - b.pid })
	v := of[k.Pick%uint64(len(of))]
	fd, err := unix.PidfdOpen(v.pid, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	if again, ok := look(v.pid, mark); !ok || again.role != v.role {
		return ""
	}
	send := func(sig unix.Signal) bool { return unix.PidfdSendSignal(fd, sig, nil, 0) == nil }
	done := false
	switch k.Signal {
	case "KILL":
		done = send(unix.SIGKILL)
	case "TERM":
		done = send(unix.SIGTERM)
	case "INT":
		done = send(unix.SIGINT)
	case "STOP":
		done = send(unix.SIGSTOP)
		time.Sleep(time.Duration(k.Pick%200) * time.Millisecond)
		send(unix.SIGKILL)
	}
	if !done {
		return ""
	}
	return "SIG" + k.Signal + " to " + strconv.Itoa(v.pid) + " (" + v.cmd + ")"
}

// endMarked ends what a round has left.
func endMarked(mark string) {
	for range 10 {
		all := marked(mark)
		if len(all) == 0 {
			return
		}
		for _, v := range all {
			fd, err := unix.PidfdOpen(v.pid, 0)
			if err != nil {
				continue
			}
			if _, ok := look(v.pid, mark); ok {
				unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			}
			unix.Close(fd)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
