//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownerCommand is this command again, in a session of its own: neither the end
// of the terminal nor a ^C there concerns it.
func ownerCommand(args []string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the executable of dist, to own the cluster: %w", err)
	}
	cmd := exec.Command(self, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// leaveTerminal has this process read nothing, write to a log, and be in
// nobody's way: not even in a directory that somebody may want to remove.
func leaveTerminal(log string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer in.Close()
	for fd, f := range []*os.File{in, out, out} {
		if err := unix.Dup2(int(f.Fd()), fd); err != nil {
			return os.NewSyscallError("dup2", err)
		}
	}
	return os.Chdir("/")
}
