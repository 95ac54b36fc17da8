package process

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/procstat"
)

// executable returns the path to start this binary by, and what tells it from
// other programs. A binary that was removed or replaced while it runs is still
// to be had under /proc.
func executable() (path, key string, err error) {
	var self, named unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &self); err != nil {
		path, err := started()
		if err != nil {
			return "", "", err
		}
		if err := unix.Stat(path, &self); err != nil {
			return path, "", err
		}
		return path, fileKey(&self), nil
	}
	path, err = os.Executable()
	if err != nil || unix.Stat(path, &named) != nil || named.Dev != self.Dev || named.Ino != self.Ino {
		path = "/proc/self/exe"
	}
	return path, fileKey(&self), nil
}

// started is the name that this process was started by, which is all there is
// without /proc.
func started() (string, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return "", fmt.Errorf("without /proc a process is found by the name it was started by: %w", err)
	}
	return filepath.Abs(path)
}

func fileKey(st *unix.Stat_t) string {
	return strconv.FormatUint(st.Dev, 10) + ":" + strconv.FormatUint(st.Ino, 10)
}

// checkPeer makes sure that the control channel was made by our parent.
func checkPeer(fd int) error {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return fmt.Errorf("its control channel does not say who made it: %w", err)
	}
	// A parent that has just been killed leaves us to another; the lifeline
	// deals with that.
	if parent := os.Getppid(); int(cred.Pid) != parent && !hungUp(fdLifeline) {
		return fmt.Errorf("its control channel was made by process %d, its parent is %d", cred.Pid, parent)
	}
	return nil
}

func hungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// holdLifeline has the kernel kill this process group when the last write end
// of the lifeline is closed, that is, when the test process ends. It works for
// stopped processes too, and does not depend on any goroutine of ours.
func holdLifeline() {
	pgid := unix.Getpgrp()
	if arm(fdLifeline, pgid) != nil { // a kernel that only resembles Linux
		go readLifeline()
	}
	if hungUp(fdLifeline) { // the end came before we listened
		unix.Kill(-pgid, unix.SIGKILL)
	}
}

// armLifeline does for a program what holdLifeline does for a node of the test
// binary. The settings are those of the open file, which the program inherits,
// and so do its children; whoever closes what it does not know is left to the
// reaper.
func armLifeline(read *os.File, pgid int) {
	if raw, err := read.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { arm(fd, pgid) })
	}
}

func arm(fd uintptr, pgid int) error {
	_, err := unix.FcntlInt(fd, unix.F_SETOWN, -pgid)
	if err == nil {
		_, err = unix.FcntlInt(fd, unix.F_SETSIG, int(unix.SIGKILL))
	}
	if err == nil {
		_, err = unix.FcntlInt(fd, unix.F_SETFL, unix.O_ASYNC|unix.O_NONBLOCK)
	}
	return err
}

// closeForeign closes what the test process had inherited itself and passed on
// without wanting to (go test -fuzz gives its workers such descriptors). All
// that this process has opened so far is marked close-on-exec; what came
// through an exec cannot be.
func closeForeign() {
	const first, probed = fdLifeline + 1, 64
	var open [probed]unix.PollFd
	for i := range open {
		open[i].Fd = int32(first + i)
	}
	if _, err := unix.Poll(open[:], 0); err != nil || open[probed-1].Revents&unix.POLLNVAL == 0 {
		eachForeign(first, func(fd int) { unix.Close(fd) })
		return
	}
	for _, p := range open {
		if p.Revents&unix.POLLNVAL == 0 && foreign(int(p.Fd)) {
			unix.Close(int(p.Fd))
		}
	}
	unix.CloseRange(uint(first+probed), math.MaxUint32, 0)
}

// keepForeign is for a child that will not close them itself.
func keepForeign() { eachForeign(3, unix.CloseOnExec) }

// eachForeign calls f for each descriptor from first on that a child would
// inherit.
func eachForeign(first int, f func(fd int)) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < first {
			continue
		}
		if foreign(fd) {
			f(fd)
		}
	}
}

func foreign(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

func sysProcAttr(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, PidFD: pidfd}
}

// awaitExit returns when the process has ended, and leaves it to be reaped.
func awaitExit(cmd *exec.Cmd, pidfd int) {
	if pidfd >= 0 {
		unix.SetNonblock(pidfd, true) // for the runtime's poller: no thread waits
		f := os.NewFile(uintptr(pidfd), "pidfd")
		defer f.Close()
		// A process with a debugger has ended before it can be reaped, for which
		// package os waits by the same open file.
		defer unix.SetNonblock(pidfd, false)
		if awaitEnd(f) == nil {
			return
		}
	}
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return
		}
	}
}

// awaitEnd returns nil when the process of a pidfd that does not block has ended.
// No thread waits meanwhile.
func awaitEnd(pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		for err == unix.EINTR {
			n, err = unix.Poll(p, 0)
		}
		failed = err
		return err != nil || n > 0
	})
	return cmp.Or(err, failed)
}

// toldAgain says that hasStopped tells of a stop for as long as it lasts, and not
// once.
const toldAgain = true

// hasStopped reports that a child has been stopped.
func hasStopped(pid int) (bool, error) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	switch err {
	case nil:
		return info.Signo == int32(unix.SIGCHLD), nil
	case unix.ECHILD:
		return false, os.ErrProcessDone
	case unix.EINTR:
		return false, nil
	}
	return false, os.NewSyscallError("waitid", err)
}

// groupLives reports whether a process of a group is more than a zombie.
func groupLives(pgid int) bool {
	pids, _ := procstat.PIDs()
	for _, pid := range pids {
		if p, ok := procstat.Of(pid); ok && p.PGRP == pgid && (!p.Zombie() || p.Threads > 1) {
			return true
		}
	}
	return false
}
