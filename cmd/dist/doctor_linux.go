package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/distkit/dist/runtime/diagnostics"
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
		why := []string{err.Error()}
		for _, s := range diagnostics.NamespaceSwitches() {
			why = append(why, s.Name+" is "+s.Value+" ("+s.Remedy+")")
		}
		return c.info("this user may have no network of its own (%s): faults are made by links", strings.Join(why, "; "))
	}
	return c.info("this user may have networks of its own")
}
