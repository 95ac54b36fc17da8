package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sweep kills the processes of this user whose environment says that they come
// from a node whose id matches, and says what they were. A process is held by
// a pidfd before it is looked at, so that it is the one looked at that is killed.
func sweep(match func(id string) bool) []string {
	var found []string
	// Until a look finds nothing: what is killed may just have forked.
	for range 10 {
		killed := sweepOnce(match)
		if len(killed) == 0 {
			break
		}
		found = append(found, killed...)
	}
	return found
}

func sweepOnce(match func(id string) bool) (killed []string) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := proc.Readdirnames(-1)
	proc.Close()
	self := os.Getpid()
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == self || !descends(pid, match) {
			continue
		}
		if what, ok := kill(pid, match); ok {
			killed = append(killed, what)
		}
	}
	return killed
}

// kill ends one process and returns when it is gone, or nearly.
func kill(pid int, match func(id string) bool) (what string, ok bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	if !descends(pid, match) { // another process by now
		return "", false
	}
	what = fmt.Sprintf("process %d (%s)", pid, commandLine(pid))
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return "", false
	}
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		if n, err := unix.Poll(p, 100); err != unix.EINTR && (err != nil || n > 0) {
			break
		}
	}
	return what, true
}

var runPrefix = []byte(envRun + "=")

// descends reports whether a process's environment carries a matching id. The
// environment of other users' processes cannot be read; root's own rule is to
// leave alone what runs as somebody else.
func descends(pid int, match func(id string) bool) bool {
	dir := "/proc/" + strconv.Itoa(pid)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil || int(st.Uid) != os.Geteuid() {
		return false
	}
	env, err := os.ReadFile(dir + "/environ")
	if err != nil {
		return false
	}
	for len(env) > 0 {
		var v []byte
		v, env, _ = bytes.Cut(env, []byte{0})
		if id, ok := bytes.CutPrefix(v, runPrefix); ok {
			return match(string(id))
		}
	}
	return false
}

func commandLine(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || len(b) == 0 {
		return "exiting"
	}
	line := strings.TrimSpace(string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
	if len(line) > 120 {
		line = line[:120] + "…"
	}
	return line
}
