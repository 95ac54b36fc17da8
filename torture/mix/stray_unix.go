//go:build unix

package mix

import (
	"context"
	"os/exec"
	"syscall"
)

// stray starts a process that leaves the node's process group.
func stray(context.Context, struct{}) (int, error) {
	cmd := exec.Command("sleep", "3600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

func lives(pid int) error { return syscall.Kill(pid, 0) }
