//go:build unix

package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
)

// Run implements engine.Engine.
func (e *Engine) Run(ctx context.Context, c engine.Command) (engine.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := e.open()
	if err != nil {
		return nil, err
	}
	// Before the process: until its lifeline is armed, and if it closes what it
	// does not know, nothing but the reaper knows of it.
	r.enter()
	e.Guard()
	return e.command(r, e.seq.Add(1), c)
}

// command starts the process.
func (e *Engine) command(r *run, seq int64, c engine.Command) (_ *node, err error) {
	failed := func(phase diagnostics.Phase, op, path string, err error) error {
		return &engine.Error{Failure: diagnostics.Failure{Phase: phase, Op: op, Path: path, Dir: c.Dir, Err: err}}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, failed(diagnostics.PhasePrepare, "make a lifeline", "", err)
	}
	defer read.Close()
	logName := c.Log
	if logName == "" {
		logName = filepath.Join(r.dir, fmt.Sprintf("%d.log", seq))
	}
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		write.Close()
		return nil, failed(diagnostics.PhasePrepare, "create a log file", logName, err)
	}
	defer log.Close()
	n := &node{id: r.nodeID(seq), log: logName, logFrom: engine.LogSize(logName), lifeline: write, done: make(chan struct{})}
	n.cmd = &exec.Cmd{
		Path:       c.Path,
		Args:       append([]string{c.Path}, c.Args...),
		Dir:        c.Dir,
		Env:        append(c.Env[:len(c.Env):len(c.Env)], envRun+"="+n.id),
		Stdout:     log,
		Stderr:     log,
		ExtraFiles: []*os.File{read},
	}
	pidfd := -1
	n.cmd.SysProcAttr = sysProcAttr(&pidfd)
	keepForeign()
	if err := begin(n.cmd, c.Host); err != nil {
		write.Close()
		return nil, failed(diagnostics.PhaseExec, "start "+filepath.Base(c.Path), c.Path, err)
	}
	armLifeline(read, n.cmd.Process.Pid)
	go n.wait(pidfd)
	return n, nil
}

// Interrupt implements engine.Node.
func (n *node) Interrupt(signal string) error {
	sig := unix.SignalNum(signal)
	if sig == 0 {
		return fmt.Errorf("there is no signal %q on this system", signal)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reaped {
		return os.ErrProcessDone
	}
	return os.NewSyscallError("kill", unix.Kill(n.cmd.Process.Pid, syscall.Signal(sig)))
}
