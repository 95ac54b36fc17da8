package namespaces

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// children are the processes of the switches' name that others wait for: the
// switches, and what they have started from the same file.
var children sync.Map // of process ids

// failedExec is what package syscall has a child exit with that could not become
// its program.
const failedExec = 253

// reapFailed reaps what a switch has left of a start that has failed: a child of
// this process, of which nobody has been told. It still has the name of the
// switch, since it has not become anything else, and is alone in a process group.
func reapFailed(name string) {
	for range 100 {
		again := false
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			if _, known := children.Load(pid); known {
				continue
			}
			p, ok := readStat(pid)
			if !ok || p.name != name || p.parent != os.Getpid() || p.group != pid {
				continue
			}
			if p.state != "Z" {
				again = true // it is about to end, or somebody else's, who begins
			} else if p.exit == failedExec<<8 {
				unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
		if !again {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// A stat is what /proc tells of a process.
type stat struct {
	name, state         string
	parent, group, exit int
}

func readStat(pid int) (s stat, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s, false
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return s, false
	}
	s.name = string(b[open+1 : end])
	fields := strings.Fields(string(b[end+1:]))
	const exitCode = 52 - 3 // proc_pid_stat(5) counts from 1, and has two before these
	if len(fields) <= exitCode {
		return s, false
	}
	s.state = fields[0]
	s.parent, _ = strconv.Atoi(fields[1])
	s.group, _ = strconv.Atoi(fields[2])
	s.exit, _ = strconv.Atoi(fields[exitCode])
	return s, true
}
