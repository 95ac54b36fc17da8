package runtime

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/wire"
)

// leadNodesLife serves the test side until it lets go of this process, and
// exits. It does not return: what follows dist.Main in a TestMain is for the
// test side.
func leadNodesLife(c *process.Child) {
	if !flag.Parsed() {
		parseFlags(flag.CommandLine, os.Args[1:])
	}
	setProfileRates()
	n := &nodeSide{}
	err := c.Serve(n.handle, func(c *wire.Conn) { n.conn = c })
	if n.stopped.Load() {
		os.Exit(0) // writes coverage; the race detector may turn it into 66
	}
	fmt.Fprintf(os.Stderr, "dist: the control channel ended: %v\n", err)
	c.Abandoned()
	os.Exit(1)
}

// parseFlags gives the package's own flags the values they have on the test
// side. Flags that only the test side defines are not an error here.
func parseFlags(f *flag.FlagSet, args []string) {
	out := f.Output()
	f.SetOutput(io.Discard)
	f.Init(f.Name(), flag.ContinueOnError)
	for f.Parse(args) != nil {
		// What follows an unknown one may be its value.
		if args = f.Args(); len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			args = args[1:]
		}
	}
	f.Init(f.Name(), flag.ExitOnError)
	f.SetOutput(out)
}

// nodeSide is what a node has to say to the test side.
type nodeSide struct {
	conn    *wire.Conn // to the test side
	mu      sync.Mutex
	local   *Local    // of the current lease
	base    *baseline // nil if the node cannot be kept
	profile *profiling
	stopped atomic.Bool
}

func (n *nodeSide) handle(ctx context.Context, method string, body []byte) ([]byte, error) {
	if name, ok := strings.CutPrefix(method, manager.MethodFunc); ok {
		return n.call(ctx, name, body)
	}
	switch method {
	case manager.MethodPing:
		if len(body) > 0 {
			wire.Unmarshal[manager.Identity](body) // a rehearsal, see Identity
		}
		return nil, nil
	case manager.MethodAssign:
		id, err := wire.Unmarshal[manager.Identity](body)
		if err != nil {
			return nil, fmt.Errorf("decode an assignment: %w", err)
		}
		n.assign(id)
		return nil, nil
	case manager.MethodReset:
		report := n.end()
		n.mu.Lock()
		base := n.base
		n.mu.Unlock()
		if base != nil {
			base.compare(ctx, &report)
		}
		return wire.Marshal(report)
	case manager.MethodProfile:
		r, err := wire.Unmarshal[manager.ProfileRequest](body)
		if err != nil {
			return nil, fmt.Errorf("decode what is to be profiled: %w", err)
		}
		return record(ctx, r)
	case manager.MethodExit:
		os.Exit(manager.ExitKilled)
	case manager.MethodStacks:
		return stacks(), nil
	case manager.MethodStop:
		n.stopped.Store(true)
		n.conn.Finish()
		return wire.Marshal(n.end())
	}
	return nil, fmt.Errorf("a node does not answer %q", method)
}

func (n *nodeSide) assign(id manager.Identity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !id.Baseline:
		n.base = nil
	case n.base == nil:
		n.base = newBaseline()
	default:
		// What was found clean at the end of a lease still is what it was at its
		// beginning.
	}
	if id.Debug {
		allowTracer()
	}
	n.local = newLocal(id, n.conn)
	n.profile = beginProfiles(id)
}

func (n *nodeSide) call(ctx context.Context, name string, body []byte) ([]byte, error) {
	f := named(name)
	if f == nil {
		// Both sides are the same binary: the tables can only differ if a
		// Register depends on something.
		return nil, fmt.Errorf("function %s is not registered on the node, though it is in the test process: call dist.Register in an init, unconditionally", name)
	}
	n.mu.Lock()
	l := n.local
	n.mu.Unlock()
	if l == nil || !l.begin() {
		return nil, errors.New("the lease of this node has ended")
	}
	defer l.done()
	return f.call(context.WithValue(ctx, localKey{}, l), body)
}

// end ends the lease, waiting a little for calls that have been cancelled.
func (n *nodeSide) end() manager.EndReport {
	n.mu.Lock()
	l, profile := n.local, n.profile
	n.profile = nil
	n.mu.Unlock()
	if l == nil {
		return manager.EndReport{} // a spare that nobody used
	}
	defer profile.end()
	report := manager.EndReport{Errors: l.end()}
	for pause := 10 * time.Microsecond; l.running() > 0 && pause < 50*time.Millisecond; pause *= 2 {
		time.Sleep(pause)
	}
	report.Calls = l.running()
	return report
}

// stacks prints all goroutines, as much of them as is of use to anybody.
func stacks() []byte {
	for size := 256 << 10; ; size *= 4 {
		b := make([]byte, size)
		if n := goruntime.Stack(b, true); n < size || size >= 16<<20 {
			return b[:n]
		}
	}
}
