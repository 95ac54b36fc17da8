package namespaces

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/procstat"
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
		pids, err := procstat.PIDs()
		if err != nil {
			return
		}
		for _, pid := range pids {
			if _, known := children.Load(pid); known {
				continue
			}
			p, ok := procstat.Of(pid)
			if !ok || p.Comm != name || p.PPID != os.Getpid() || p.PGRP != pid {
				continue
			}
			if !p.Zombie() {
				again = true // it is about to end, or somebody else's, who begins
			} else if p.Exit == failedExec<<8 {
				unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
		if !again {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
