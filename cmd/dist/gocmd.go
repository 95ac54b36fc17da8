package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
)

// runGo runs the go command with the streams of dist itself, so that not a byte
// of them changes and a terminal stays one, and returns its exit status.
//
// The go command is in dist's process group: ^C reaches it and the tests
// without our help, and all that is left to do is to wait. Nobody can tell a
// SIGINT or SIGQUIT to dist alone from that, and such a one does nothing, as it
// does to go test; other signals are passed on. If dist is killed, so is the go command (on Linux), and
// then its test binaries notice and end with their nodes.
func runGo(s streams, env, args []string) (int, error) {
	cmd := exec.Command("go", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	cmd.Env = env
	dieWithParent(cmd)

	// The kernel takes the end of the thread that started a child for the end
	// of the parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(endSignals(), syscall.SIGQUIT)...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("run the go command: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case sig := <-signals:
				if sig != os.Interrupt && sig != syscall.SIGQUIT {
					cmd.Process.Signal(sig)
				}
			case <-done:
				return
			}
		}
	}()
	err := cmd.Wait()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return exitOK, nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	case errors.As(err, &exit):
		fmt.Fprintf(s.err, "dist: go %s: %v\n", args[0], err) // by a signal
		return exitFailed, nil
	}
	return 0, fmt.Errorf("wait for go %s: %w", args[0], err)
}

// endSignals are the signals that ask a command to end. One that is ignored, as
// SIGHUP is under nohup, stays so.
func endSignals() []os.Signal {
	return slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}, signal.Ignored)
}
