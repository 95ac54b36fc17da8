//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifySuspend has ^Z told, which then does not stop this process any more.
func notifySuspend(c chan<- os.Signal) { signal.Notify(c, syscall.SIGTSTP) }

// suspend stops this process, as ^Z would have.
func suspend() { syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
