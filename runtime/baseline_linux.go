package runtime

import (
	"os"
	"strings"

	"github.com/distkit/dist/runtime/diagnostics"
)

// sockets returns this process's sockets by inode. An idle client connection
// counts as well as a listener: it is state a later test would find.
func sockets() (inodes []string) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}

// describeSocket finds a socket's local address and state.
func describeSocket(inode string) string {
	for _, kind := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/self/net/" + kind)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[9] == inode {
				state := ""
				if f[3] == "0A" {
					state = ", listening"
				}
				return "socket " + kind + " " + decodeAddr(f[1]) + state
			}
		}
	}
	return "socket " + inode
}

// children returns this process's child processes by id.
func children() (pids []string) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err != nil {
			continue
		}
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

func describeChild(pid string) string {
	cmdline, _ := os.ReadFile("/proc/" + pid + "/cmdline")
	return "process " + pid + " (" + diagnostics.CommandLine(string(cmdline)) + ")"
}
