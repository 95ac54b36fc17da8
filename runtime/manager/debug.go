package manager

import (
	"context"
	"fmt"
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

// debugPoll is how often it is looked whether a debugger is there.
const debugPoll = 20 * time.Millisecond

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
	n.mu.Lock()
	p := n.cur
	n.faulted = true // what somebody has looked into serves no other test
	n.mu.Unlock()
	who := fmt.Sprintf("%s of %s (pid %d)", n.name, n.c.request.Test, p.PID())
	dlv, err := exec.LookPath("dlv")
	if err == nil {
		addr, err := n.attach(ctx, dlv, p)
		if err != nil {
			return fmt.Errorf("debug %s: %w", n.name, err)
		}
		tell(fmt.Sprintf("%s is stopped under Delve, before the test has called it. Connect, set breakpoints, and continue:\n\n    dlv connect %s\n", who, addr))
	} else {
		if traced(p.PID()) < 0 {
			return fmt.Errorf("debug %s: there is no dlv in PATH to attach to process %d, and this system does not tell whether another debugger is: go install github.com/go-delve/delve/cmd/dlv@latest", n.name, p.PID())
		}
		tell(fmt.Sprintf("%s waits for a debugger, before the test has called it. Attach one, set breakpoints, and continue:\n\n    dlv attach %d\n", who, p.PID()))
		for traced(p.PID()) == 0 {
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
				return strings.TrimSpace(addr), nil
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

const debugRemedy = `go test leaves the debug information out of a binary that it does not keep: give it -o FILE, and -gcflags='all=-N -l' (dist test -debug does)`

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
