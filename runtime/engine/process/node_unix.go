//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/forkexec"
	"github.com/distkit/dist/runtime/network/namespaces"
	"github.com/distkit/dist/runtime/wire"
)

// Descriptors of a node beyond the standard three.
const (
	fdControl  = 3
	fdLifeline = 4
)

// methodHello is a node's first request: it lives, and leads a node's life.
const methodHello = "dist.hello"

// A node is a running child.
type node struct {
	cmd      *exec.Cmd
	id       string
	conn     *wire.Conn
	lifeline *os.File // its write end: closed when the node has ended
	log      string
	logFrom  int64
	done     chan struct{}
	ended    func(engine.Node) // told before done is closed; may be nil

	mu     sync.Mutex
	reaped bool // the process id may belong to somebody else
	exit   diagnostics.Exit

	stopped atomic.Bool // by Pause
}

// Start implements engine.Engine.
func (e *Engine) Start(ctx context.Context, s engine.Spec) (engine.Node, error) {
	r, err := e.open()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	seq := e.seq.Add(1)
	hello := make(chan struct{})
	greet := sync.OnceFunc(func() { close(hello) })
	handler := func(ctx context.Context, method string, body []byte) ([]byte, error) {
		if method == methodHello {
			greet()
			return nil, nil
		}
		if s.Handler == nil {
			return nil, fmt.Errorf("the test side does not answer %q", method)
		}
		return s.Handler(ctx, method, body)
	}
	n, err := e.spawn(r, seq, s, handler)
	if err != nil {
		return nil, err
	}
	if s.Spawned != nil {
		s.Spawned(n)
	}
	r.enter()
	f := diagnostics.Failure{Phase: diagnostics.PhaseHandshake, Op: "start a node"}
	garbled := n.conn.Done()
	for {
		select {
		case <-hello:
			r.guardSoon()
			return n, nil
		case <-garbled:
			if garbled = nil; !errors.Is(n.conn.Err(), wire.ErrProtocol) {
				continue // it has ended, or is about to
			}
		case <-n.done:
			exit := n.Exit()
			f.Exit = &exit
			f.OOMBefore = r.oomKills()
		case <-ctx.Done():
			f.Err = ctx.Err()
			if f.Err == context.DeadlineExceeded { // somebody wants to know why
				f.PID = n.PID()
				n.question(&f)
			}
		}
		break
	}
	n.Kill()
	if err := n.conn.Err(); errors.Is(err, wire.ErrProtocol) {
		f.Code, f.Err = diagnostics.NodeChannel, err
	}
	f.Log, f.Elapsed = engine.LogTail(n), time.Since(begin)
	return nil, &engine.Error{Failure: f}
}

// stacksTime is how long a node may take to print its stacks.
const stacksTime = 500 * time.Millisecond

// question has a node that does not answer examined, and its goroutines
// printed into its log, before it is killed.
func (n *node) question(f *diagnostics.Failure) {
	diagnostics.Gather(context.Background(), f)
	if p := f.Facts.Process; p != nil && p.Stopped {
		return // nor would it hear this
	}
	if n.Interrupt("SIGQUIT") != nil {
		return
	}
	select {
	case <-n.done:
	case <-time.After(stacksTime):
	}
}

// spawn starts the process. It has not said anything when spawn returns.
func (e *Engine) spawn(r *run, seq int64, s engine.Spec, h wire.Handler) (_ *node, err error) {
	var closers []*os.File
	defer func() {
		for _, f := range closers {
			f.Close()
		}
	}()
	failed := func(phase diagnostics.Phase, op, path string, err error) error {
		return &engine.Error{Failure: diagnostics.Failure{Phase: phase, Op: op, Path: path, Err: err}}
	}
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, failed(diagnostics.PhasePrepare, "make a control channel", "", err)
	}
	closers = append(closers, theirs)
	defer ours.Close() // FileConn makes a descriptor of its own
	read, write, err := os.Pipe()
	if err != nil {
		return nil, failed(diagnostics.PhasePrepare, "make a lifeline", "", err)
	}
	closers = append(closers, read)
	defer func() {
		if err != nil {
			write.Close()
		}
	}()
	logName := s.Log
	if logName == "" {
		logName = filepath.Join(r.dir, fmt.Sprintf("%d.log", seq))
	}
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, failed(diagnostics.PhasePrepare, "create a log file", logName, err)
	}
	closers = append(closers, log)
	path, key, err := executable()
	if err != nil {
		return nil, failed(diagnostics.PhaseExec, "find the test binary", path, err)
	}
	n := &node{id: r.nodeID(seq), log: logName, logFrom: engine.LogSize(logName), lifeline: write, done: make(chan struct{}), ended: s.Ended}
	n.cmd = &exec.Cmd{
		Path: path,
		// The flags too: what the package's own flags say holds on nodes as well.
		Args:       os.Args,
		Dir:        e.wd,
		Env:        append(s.Env[:len(s.Env):len(s.Env)], envRun+"="+n.id, envNode+"="+protocol+" "+key),
		Stdout:     log,
		Stderr:     log,
		ExtraFiles: []*os.File{theirs, read},
	}
	pidfd := -1
	n.cmd.SysProcAttr = sysProcAttr(&pidfd)
	if err := begin(n.cmd, s.Host); err != nil {
		return nil, failed(diagnostics.PhaseExec, "start the test binary as a node", path, err)
	}
	go n.wait(pidfd)
	stream, err := net.FileConn(ours)
	if err != nil {
		n.Kill()
		return nil, failed(diagnostics.PhasePrepare, "use a control channel", "", err)
	}
	n.conn = wire.New(stream, h)
	go n.conn.Serve()
	return n, nil
}

// begin starts a process, in the network of a host if that is not nil. It is a
// child of this process either way.
func begin(cmd *exec.Cmd, host *namespaces.Host) error {
	if host != nil {
		return host.Start(cmd)
	}
	return forkexec.Start(cmd)
}

// sendBuffer is what a side can write, in bytes, before the other one has to be
// scheduled: with the usual 208 KiB a call with a MiB takes a third longer.
const sendBuffer = 1 << 20

// socketpair returns two ends that no child inherits by accident.
func socketpair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
		// What the system has less of, or more, is as good.
		unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
		unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control"), nil
}

// wait reaps the process. The rest of its group is killed before that: until
// then the group's id cannot be given to anybody else.
func (n *node) wait(pidfd int) {
	awaitExit(n.cmd, pidfd)
	n.mu.Lock()
	unix.Kill(-n.cmd.Process.Pid, unix.SIGKILL)
	n.cmd.Wait() // its error is in the ProcessState
	n.reaped = true
	n.exit = exitOf(n.cmd.ProcessState)
	n.mu.Unlock()
	awaitGroup(n.cmd.Process.Pid)
	n.lifeline.Close()
	if n.ended != nil {
		n.ended(n)
	}
	close(n.done)
}

// groupTime is how long the killed rest of a group may take to be gone: one that
// has to give back gigabytes takes a while.
const groupTime = 10 * time.Second

// awaitGroup waits for the killed rest of a group: until it is gone it has its
// ports and locks, and a node that is restarted wants them. Where nobody reaps
// orphans they look as if they lived.
func awaitGroup(pgid int) {
	begin := time.Now()
	for pause := time.Millisecond; unix.Kill(-pgid, 0) == nil; time.Sleep(pause) {
		if took := time.Since(begin); took > 100*time.Millisecond {
			if took > groupTime || !groupLives(pgid) {
				return
			}
			pause = 10 * time.Millisecond
		}
	}
}

func exitOf(s *os.ProcessState) diagnostics.Exit {
	if s == nil {
		return diagnostics.Exit{Code: -1}
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return diagnostics.Exit{Code: -1, Signal: w.Signal().String()}
	}
	return diagnostics.Exit{Code: s.ExitCode()}
}

// signal reaches the node's whole process group. A node that has ended is no
// error: it is how every node ends.
func (n *node) signal(sig syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reaped {
		return os.ErrProcessDone
	}
	err := unix.Kill(-n.cmd.Process.Pid, sig)
	if err == unix.ESRCH { // a zombie that is about to be reaped
		return os.ErrProcessDone
	}
	return os.NewSyscallError("kill", err)
}

func (n *node) PID() int              { return n.cmd.Process.Pid }
func (n *node) Conn() *wire.Conn      { return n.conn }
func (n *node) Done() <-chan struct{} { return n.done }

func (n *node) Exit() diagnostics.Exit {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.exit
}

func (n *node) LogFile() string { return n.log }
func (n *node) LogFrom() int64  { return n.logFrom }

func (n *node) Kill() error {
	if err := n.signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-n.done
	if n.conn != nil {
		n.conn.Close()
	}
	return nil
}

func (n *node) Resume() error {
	n.stopped.Store(false)
	return n.signal(unix.SIGCONT)
}

func (n *node) Pause() error {
	if err := n.signal(unix.SIGSTOP); err != nil {
		return err
	}
	if !toldAgain && n.stopped.Load() {
		return nil
	}
	if err := n.awaitStop(); err != nil {
		return err
	}
	n.stopped.Store(true)
	return nil
}

// awaitStop returns when the node is stopped.
func (n *node) awaitStop() error {
	begin, patience := time.Now(), 20*time.Millisecond
	// The signal is under way to every thread. A blocking wait could miss the
	// end of a node that is killed meanwhile; so look, with growing pauses.
	for pause := 10 * time.Microsecond; ; pause = min(2*pause, time.Millisecond) {
		stopped, err := hasStopped(n.cmd.Process.Pid)
		if err != nil || stopped {
			return err
		}
		select {
		case <-n.done:
			return os.ErrProcessDone
		case <-time.After(pause):
		}
		if time.Since(begin) < patience {
			continue
		}
		// A child that was stopped between vfork and exec keeps the thread that
		// started it from stopping: it has to get on first.
		if err := n.signal(unix.SIGCONT); err != nil {
			return err
		}
		time.Sleep(patience / 20)
		if err := n.signal(unix.SIGSTOP); err != nil {
			return err
		}
		begin, patience = time.Now(), min(2*patience, time.Second)
	}
}

// Sweep implements engine.Engine.
func (e *Engine) Sweep(nodes []engine.Node) []string {
	ids := make(map[string]bool)
	for _, n := range nodes {
		if n, ok := n.(*node); ok {
			ids[n.id] = true
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return sweep(func(id string) bool { return ids[id] })
}
