package runtime

import (
	"os"
	"strings"
)

// listeners returns this process's sockets by inode, and what they are. An
// idle client connection counts as well: it is state a later test would find.
func listeners() map[string]string {
	all := make(map[string]string)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return all
	}
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil {
			inode = strings.TrimSuffix(inode, "]")
			all[inode] = "socket " + describeSocket(inode)
		}
	}
	return all
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
				return kind + " " + decodeAddr(f[1]) + state
			}
		}
	}
	return inode
}

// children returns this process's child processes.
func children() map[string]string {
	all := make(map[string]string)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return all
	}
	for _, task := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err != nil {
			continue
		}
		for _, pid := range strings.Fields(string(b)) {
			cmdline, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			all[pid] = "process " + pid + " (" + strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " ")) + ")"
		}
	}
	return all
}
