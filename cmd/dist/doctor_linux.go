package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

// checkNamespaces tries whether an unprivileged process may have a network of
// its own, by being one.
func checkNamespaces(ctx context.Context, c *check) *check {
	self, err := os.Executable()
	if err != nil {
		return c.info("not tried: %v", err)
	}
	cmd := exec.CommandContext(ctx, self, "version")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
	}
	if err := cmd.Run(); err != nil {
		return c.info("this user may have no network of its own (%v): faults are made by links", err)
	}
	return c.info("this user may have networks of its own")
}
