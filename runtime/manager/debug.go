package manager

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/engine"
)

// A Debug is what somebody wants to look at with a debugger.
type Debug struct {
	Nodes []string          // by name
	Tell  func(text string) // now, to whoever is at the terminal
}

const (
	debugPoll = 10 * time.Millisecond // how often it is looked whether a debugger is there
	debugStop = 2 * time.Second       // how long one may take to stop the process; it may also have let it go on at once
)

// Debug has the nodes that are to be debugged wait for a debugger, and returns
// when each goes on, or with ctx's error.
func (l *Lease) Debug(ctx context.Context) error {
	names := slices.Clone(l.request.Debug.Nodes)
	errs := make([]error, len(l.Nodes))
	var wg sync.WaitGroup
	for i, n := range l.Nodes {
		at := slices.Index(names, n.Name())
		if at < 0 {
			continue
		}
		names = slices.Delete(names, at, at+1)
		switch n := n.(type) {
		case *binaryNode:
			wg.Go(func() { errs[i] = n.debug(ctx) })
		default:
			l.request.Debug.Tell(fmt.Sprintf("%s of %s runs program %s (pid %d), which has its time: attach by dlv attach %[4]d", n.Name(), l.request.Test, l.Program(), n.PID()))
		}
	}
	wg.Wait()
	for _, name := range names {
		l.request.Debug.Tell(fmt.Sprintf("%s has no %s: its cluster has %s", l.request.Test, name, count(len(l.Nodes), "node")))
	}
	return engine.Fold(errs, nodeName)
}

// debugged reports whether the node is to be debugged.
func (n *binaryNode) debugged() bool {
	return slices.Contains(n.c.request.Debug.Nodes, n.name)
}

// debug has Delve attach to the node's process, or waits for a debugger that
// somebody else attaches, and returns when the process goes on under it.
//
// Delve does not start the process: a node has descriptors that it would not pass
// on, and a parent that it makes sure of.
func (n *binaryNode) debug(ctx context.Context) error {
	tell := n.c.request.Debug.Tell
	p := n.process()
	n.spoil() // somebody looks into it
	who := fmt.Sprintf("%s of %s (pid %d)", n.name, n.c.request.Test, p.PID())
	dlv, err := exec.LookPath("dlv")
	if err == nil {
		addr, err := n.attach(ctx, dlv, p)
		if err != nil {
			return fmt.Errorf("debug %s: %w", n.name, err)
		}
		tell(fmt.Sprintf("%s is stopped under Delve, before the test has called it. Connect, set breakpoints, and continue:\n\n    dlv connect %s\n\n%s", who, addr, debugHint))
	} else {
		if tracer, _ := traced(p.PID()); tracer < 0 {
			return fmt.Errorf("debug %s: there is no dlv in PATH to attach to process %d, and this system does not tell whether another debugger is: go install github.com/go-delve/delve/cmd/dlv@latest", n.name, p.PID())
		}
		tell(fmt.Sprintf("%s waits for a debugger, before the test has called it. Attach one, set breakpoints, and continue:\n\n    dlv attach %d\n\n%s", who, p.PID(), debugHint))
		var begin time.Time // of the debugger
		for {
			tracer, stopped := traced(p.PID())
			if tracer > 0 && begin.IsZero() {
				begin = time.Now()
			}
			if tracer > 0 && (stopped || time.Since(begin) > debugStop) {
				break
			}
			select {
			case <-time.After(debugPoll):
			case <-p.Done():
				exit := p.Exit()
				return fmt.Errorf("debug %s: it has ended while it waited for a debugger (%v)", n.name, &exit)
			case <-ctx.Done():
				return fmt.Errorf("debug %s: no debugger has come: %w", n.name, ctx.Err())
			}
		}
	}
	// It answers when it goes on.
	if _, err := p.Conn().Call(ctx, MethodPing, nil); err != nil {
		return fmt.Errorf("debug %s: it has not gone on under the debugger: %w", n.name, err)
	}
	tell(who + " goes on")
	return nil
}

// attach starts Delve for a process and returns the address on which it waits for
// its user.
func (n *binaryNode) attach(ctx context.Context, dlv string, p engine.Node) (string, error) {
	d, err := n.c.m.engine.Run(ctx, engine.Command{
		Path: dlv, Args: []string{"attach", fmt.Sprint(p.PID()), "--headless", "--accept-multiclient", "--api-version=2", "--listen=127.0.0.1:0"},
		Env: os.Environ(),
	})
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.debugger = d
	n.mu.Unlock()
	for {
		for _, line := range engine.Tail(d.LogFile(), tailLines) {
			// API server listening at: 127.0.0.1:43817
			if _, addr, ok := strings.Cut(line, "listening at: "); ok {
				addr = strings.TrimSpace(addr)
				return addr, awaitDelve(ctx, addr)
			}
		}
		select {
		case <-time.After(debugPoll):
		case <-d.Done():
			return "", fmt.Errorf("dlv attach %d has ended without listening:\n    %s\n%s", p.PID(), strings.Join(engine.Tail(d.LogFile(), tailLines), "\n    "), debugRemedy)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

const (
	debugRemedy = "where attaching is forbidden (kernel.yama.ptrace_scope of 2 or 3, a container without SYS_PTRACE) it has to be allowed first"
	debugHint   = "lines and variables are missing? go test leaves them out of a binary that it does not keep: give it -o FILE, and -gcflags='all=-N -l'; dist test -debug does"
)

// awaitDelve returns when Delve answers: it listens before it has attached, and
// until then the process runs.
func awaitDelve(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := io.WriteString(c, `{"method":"RPCServer.GetVersion","params":[{}],"id":1}`); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

// undebug ends what attach has started. The process has ended, or is let go.
func (n *binaryNode) undebug() {
	n.mu.Lock()
	d := n.debugger
	n.debugger = nil
	n.mu.Unlock()
	if d != nil {
		d.Kill()
	}
}
