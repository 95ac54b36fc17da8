package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/procstat"
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
	pids, _ := procstat.PIDs()
	self := os.Getpid()
	l := newLooker(match)
	for _, pid := range pids {
		if pid == self || !l.descends(pid) {
			continue
		}
		if what, ok := l.kill(pid); ok {
			killed = append(killed, what)
		}
	}
	return killed
}

// findProcesses says what sweep would kill.
func findProcesses(match func(id string) bool) (found []string) {
	pids, _ := procstat.PIDs()
	l := newLooker(match)
	for _, pid := range pids {
		if pid != os.Getpid() && l.descends(pid) {
			found = append(found, describe(pid))
		}
	}
	return found
}

func describe(pid int) string { return fmt.Sprintf("process %d (%s)", pid, commandLine(pid)) }

// kill ends one process and returns when it is gone, or nearly.
func (l *looker) kill(pid int) (what string, ok bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	if !l.descends(pid) { // another process by now
		return "", false
	}
	what = describe(pid)
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

var runPrefix = []byte("\x00" + envRun + "=") // behind another variable

// A looker reads environments. It is made for looking at every process on the
// machine at the end of every lease: three system calls each, most of which end
// with the first.
type looker struct {
	buf   []byte
	match func(id string) bool
}

func newLooker(match func(id string) bool) *looker {
	return &looker{buf: make([]byte, 64<<10), match: match}
}

// descends reports whether a process's environment carries a matching id. The
// environment of other users' processes cannot be read; root's own rule is to
// leave alone what runs as somebody else.
func (l *looker) descends(pid int) bool {
	dir := "/proc/" + strconv.Itoa(pid)
	fd, err := unix.Open(dir+"/environ", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var env []byte
	for {
		if len(env) == len(l.buf) {
			l.buf = append(l.buf, make([]byte, len(l.buf))...)
		}
		n, err := unix.Read(fd, l.buf[len(env):])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		env = l.buf[:len(env)+n]
	}
	rest, ok := bytes.CutPrefix(env, runPrefix[1:])
	if !ok {
		if _, rest, ok = bytes.Cut(env, runPrefix); !ok {
			return false
		}
	}
	id, _, _ := bytes.Cut(rest, []byte{0})
	var st unix.Stat_t
	return l.match(string(id)) && unix.Stat(dir, &st) == nil && int(st.Uid) == os.Geteuid()
}

func commandLine(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || len(b) == 0 {
		return "exiting"
	}
	return diagnostics.CommandLine(string(b))
}
