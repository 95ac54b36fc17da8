//go:build unix && !linux

package process

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func executable() (path, key string, err error) {
	path, err = os.Executable()
	if err != nil {
		return "", "", err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return path, "", err
	}
	return path, fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}

func checkPeer(int) error { return nil }

// holdLifeline watches for the end of the test process. A node that is stopped
// cannot do that: on this system it outlives a test process that is killed.
func holdLifeline() { go readLifeline() }

// armLifeline has nothing to arm: on this system a program outlives a test
// process that is killed.
func armLifeline(*os.File, int) {}

func closeForeign() {}

func keepForeign() {}

func sysProcAttr(*int) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit reaps the process, since this system cannot tell otherwise that it
// has ended. The rest of its group is killed just after, by an id that could
// in theory belong to somebody else by then.
func awaitExit(cmd *exec.Cmd, _ int) { cmd.Wait() }

const toldAgain = false // see hasStopped of child_linux.go

func hasStopped(pid int) (bool, error) {
	var status unix.WaitStatus
	got, err := unix.Wait4(pid, &status, unix.WUNTRACED|unix.WNOHANG, nil)
	if err == unix.EINTR {
		return false, nil
	}
	return got == pid && status.Stopped(), os.NewSyscallError("wait4", err)
}

// groupLives cannot be told here.
func groupLives(int) bool { return false }
