package dist

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/distkit/dist/runtime"
	"github.com/distkit/dist/runtime/manager"
)

// Require leases a cluster to the test until it ends, and returns it ready:
// every node has answered. Asked again by the same test or its subtests it
// returns the same cluster; options that do not fit it fail the test.
//
// If there is no cluster to be had, Require ends the test with the diagnosis:
// as failed, or as skipped if the test is [Optional], if the configuration says
// so, or if distributed tests are switched off. Like t.FailNow it must be
// called from the goroutine that runs the test.
//
// Nodes that a test has used retire when it ends, after its own cleanups. What
// went wrong on them unnoticed (a race, a crash) then fails the test.
func Require(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	r, err := required(opts)
	if err != nil {
		t.Fatalf("dist.Require: %v", err)
	}
	h := runtime.Require(t, r)
	c := &Cluster{held: h, nodes: make([]*Node, len(h.Nodes))}
	for i, n := range h.Nodes {
		c.nodes[i] = &Node{held: h, node: n}
	}
	return c
}

// Main runs a package's tests, and is what a TestMain consists of:
//
//	func TestMain(m *testing.M) { os.Exit(dist.Main(m)) }
//
// distgen writes it for packages that have none. In a TestMain of one's own it
// must be the first statement: the nodes are this same binary and come this
// way, and Main does not return on them. What has to be set up before the tests
// goes into the Run method of a wrapper that is passed in place of m.
func Main(m interface{ Run() int }) int { return runtime.Main(m) }

// Register makes fn callable on nodes, for functions that no generated
// bootstrap can name: a helper package's unexported ones. It is called in an
// init, unconditionally, and panics if fn is not a package-level function.
func Register[In, Out any](fn func(context.Context, In) (Out, error)) { runtime.Register(fn) }

// RegisterErrors has errors.Is find errs in what Call, CallAll and CallNodes return,
// where the function has returned one of them, or wrapped it; otherwise no more than
// their text crosses. Errors of the standard library that Call names need none of it.
// It is called in an init, unconditionally, by who declares the errors or by who
// tests with them:
//
//	var ErrNotLeader = errors.New("not the leader")
//
//	func init() { dist.RegisterErrors(ErrNotLeader) }
//
// It panics if one is nil or cannot be compared. One that is registered already is
// passed over.
func RegisterErrors(errs ...error) { runtime.RegisterErrors(errs...) }

// Local is a node as the functions that run on it see it.
type Local = runtime.Local

// Self returns the node that a function runs on. ctx must be, or come from, the
// context that the function was given; anywhere else Self panics and says so.
func Self(ctx context.Context) *Local { return runtime.Self(ctx) }

// A Cluster is a test's cluster. It lasts until the test has ended, its
// cleanups included. It is safe for concurrent use.
type Cluster struct {
	held  *runtime.Held
	nodes []*Node
}

// ID returns the cluster's name, unlike that of any other.
func (c *Cluster) ID() string { return c.held.ID }

// Size returns the number of nodes.
func (c *Cluster) Size() int { return len(c.nodes) }

// Nodes returns the nodes, by index.
func (c *Cluster) Nodes() []*Node { return append([]*Node(nil), c.nodes...) }

// Node returns the node with an index from 0 to Size()-1; it panics if there
// is none.
func (c *Cluster) Node(i int) *Node {
	if i < 0 || i >= len(c.nodes) {
		panic(fmt.Sprintf("dist: Cluster.Node(%d) of a cluster of %d: indexes are 0 to %d", i, len(c.nodes), len(c.nodes)-1))
	}
	return c.nodes[i]
}

// Addrs returns the addresses, as host:port, of a named port, by node. A port
// that the test has not asked for fails the test, and the result is nil.
func (c *Cluster) Addrs(port string) []string {
	c.held.T().Helper()
	addrs := c.held.Addrs(port)
	for _, a := range addrs {
		if a == "" {
			c.held.NoPort("Cluster.Addrs", port)
			return nil
		}
	}
	return addrs
}

// Reused reports whether one of the nodes has served an earlier test.
func (c *Cluster) Reused() bool { return c.held.Reused() }

// WaitHealthy returns nil when every node answers, or an error that names those
// that do not when ctx ends.
func (c *Cluster) WaitHealthy(ctx context.Context) error { return c.held.WaitHealthy(ctx) }

// Join has the test take part in the barriers of these names: from now on nodes
// wait there for the test, which arrives by [Cluster.Barrier]. It is to be called
// before the functions that arrive there.
func (c *Cluster) Join(names ...string) error { return c.held.Join(names...) }

// Barrier waits at a barrier of the nodes, which arrive by Barrier of [Self].
//
// The test takes part only if it has said so by [Cluster.Join]: then nobody goes
// on before all nodes and the test are there. Otherwise it waits alongside: its
// first Barrier of a name returns when all nodes have met there for the first
// time, or have before; its second one when they have met twice; and no node
// ever waits for it.
//
// If ctx ends first the error is a *BarrierError that wraps ctx's error and says
// who is there, who is missing and where those are. A node that has ended, or
// ends, fails the barrier at once for all who wait: a *BarrierError that says
// how it ended. See docs/faults.md.
func (c *Cluster) Barrier(ctx context.Context, name string) error {
	return c.held.Barrier(ctx, name)
}

// A BarrierError says that a barrier was not passed: who was there, and who was
// missing. errors.As finds it on nodes and in the test; what a node function
// returns arrives as a *RemoteError with all of its text.
type BarrierError = runtime.BarrierError

// Missing is one who is not at a barrier, with where it is.
type Missing = runtime.Missing

// A Node is one process of a test's cluster, or its successor after Restart. It
// is safe for concurrent use.
//
// Kill, Stop, Restart, RestartAs, Pause and Resume return their error and also mark the
// test as failed: a fault that did not happen would let a test pass for
// nothing. They may be called from any goroutine.
type Node struct {
	held *runtime.Held
	node manager.Node
}

// Name returns the node's name, "node-1" for index 0.
func (n *Node) Name() string { return n.node.Name() }

// Index returns the node's place in its cluster, from 0.
func (n *Node) Index() int { return n.node.Index() }

// PID returns the id of the node's process; of the last one, if it has ended.
func (n *Node) PID() int { return n.node.PID() }

// Addr returns the address, as host:port, under which a named port of the node
// is reached, from the test and from other nodes. A port that the test has not
// asked for fails the test, and the result is empty.
func (n *Node) Addr(port string) string {
	n.held.T().Helper()
	addr := n.node.Addr(port)
	if addr == "" {
		n.held.NoPort("Node.Addr", port)
	}
	return addr
}

// Dir returns the directory for the node's data. It is kept through a restart
// and removed when the test ends.
func (n *Node) Dir() string {
	n.held.T().Helper()
	dir, err := n.node.Dir()
	if err != nil {
		n.held.Errorf("dist: Node.Dir: %v", err)
	}
	return dir
}

// Log returns the name of the file with all that the node has printed. It is
// removed when the test ends; if the test has failed, its last lines are shown
// with it.
func (n *Node) Log() string { return n.node.Log() }

// Goroutines returns the stacks of all of the node's goroutines, as the Go runtime
// prints them. Only nodes of the test binary tell. A node that is gone is a
// *LostError.
func (n *Node) Goroutines(ctx context.Context) ([]byte, error) {
	return n.held.Goroutines(ctx, n.node)
}

// Profile returns a profile of the node for go tool pprof: "heap", "allocs",
// "goroutine", "block", "mutex", "threadcreate", one that the tests' own code has
// made by package runtime/pprof, or "cpu"; or "trace", for go tool trace. It is
// recorded for d; with d = 0 it is of what the node has recorded by then, which
// for cpu and trace is nothing, and for block and mutex what their rates, or
// go test's flags, have let it. Only nodes of the test binary have one; a node
// that is gone is a *LostError.
func (n *Node) Profile(ctx context.Context, name string, d time.Duration) ([]byte, error) {
	return n.held.Profile(ctx, n.node, name, d)
}

// Running reports whether the node's process exists, paused or not.
func (n *Node) Running() bool { return n.node.Running() }

// Kill ends the node and all in its process group by SIGKILL, and returns when
// it is gone. Under -cover a node of the test binary exits where it is instead, a
// few milliseconds later, so that its lines count: see docs/coverage.md.
func (n *Node) Kill() error {
	n.held.T().Helper()
	return n.fault("kill", "killed", n.node.Kill)
}

// Stop ends the node gracefully: the lease's context ends, its cleanups run,
// and coverage is written. If ctx ends first the node is killed.
func (n *Node) Stop(ctx context.Context) error {
	n.held.T().Helper()
	return n.fault("stop", "stopped", func() error { return n.node.Stop(ctx) })
}

// Restart starts the node again with the same name, addresses and Dir; one that
// runs is stopped first. It returns when the node answers. What ran on the node
// does not start by itself: call its function again.
func (n *Node) Restart(ctx context.Context) error {
	n.held.T().Helper()
	return n.fault("restart", "restarted", func() error { return n.node.Restart(ctx) })
}

// RestartAs is Restart with another program of the configuration, a [program.NAME]
// that has the same ports: an upgrade, or a downgrade, of this node. It runs
// that program until the test ends, through further restarts, or until it is
// restarted as another; where it does not get ready, the node does not run, and
// Restart starts what did. Before anybody else has the cluster it is its own
// program's again. A program that is not there, or has other ports, is an error, and the
// node is left as it is; so is one that runs the test binary.
func (n *Node) RestartAs(ctx context.Context, program string) error {
	n.held.T().Helper()
	return n.fault("restart-as", "restarted as "+program, func() error { return n.node.RestartAs(ctx, program) })
}

// Pause stops the node and all in its process group by SIGSTOP, and returns
// when it has stopped. Its connections stay open and nobody answers on them.
func (n *Node) Pause() error {
	n.held.T().Helper()
	return n.fault("pause", "paused", n.node.Pause)
}

// Resume lets a paused node go on.
func (n *Node) Resume() error {
	n.held.T().Helper()
	return n.fault("resume", "resumed", n.node.Resume)
}

// fault does what a test asked for, and notes it in the test's log.
func (n *Node) fault(event, what string, act func() error) error {
	n.held.T().Helper()
	begin := time.Now()
	err := act()
	n.held.RecordFault(event, n.Name(), n.Name()+" "+what, begin, err)
	if err != nil {
		n.held.Fail(err)
		return err
	}
	n.held.Logf("dist: %s %s in %v (pid %d)", n.Name(), what, time.Since(begin).Round(10*time.Microsecond), n.PID())
	return nil
}

// Outcomes of a Call besides a result. errors.As finds them in its error.
type (
	// RemoteError is an error that the function returned on the node: its text,
	// and which of the errors that cross it was or wrapped. See Call.
	RemoteError = runtime.RemoteError
	// PanicError is a panic of the function, with the node's stack.
	PanicError = runtime.PanicError
	// LostError says that the node was gone before the function returned, with
	// its exit status and the last lines of its log.
	LostError = manager.LostError
)

// Call runs fn on a node and returns what it returns. fn is a package-level
// function that the bootstrap names (distgen finds those that tests use), or
// that was registered with [Register]. The argument and the result cross by
// value: see docs/calls.md for the types that can.
//
// fn's context ends with ctx. Errors tell apart, by errors.As, an error that fn
// returned (*RemoteError), a panic (*PanicError), and a node that is gone
// (*LostError). If ctx ends first the error is ctx's.
//
// Of an error that fn returned its text crosses, and its identity for errors.Is if
// it is, or wraps: context.Canceled, context.DeadlineExceeded; io.EOF,
// io.ErrUnexpectedEOF; os.ErrNotExist, os.ErrExist, os.ErrPermission, os.ErrClosed,
// os.ErrInvalid, os.ErrDeadlineExceeded; net.ErrClosed; errors.ErrUnsupported; a
// syscall.Errno; or what has been given to [RegisterErrors]. errors.As finds no type
// of fn's.
func Call[In, Out any](ctx context.Context, n *Node, fn func(context.Context, In) (Out, error), in In) (Out, error) {
	var zero Out
	f, err := runtime.Lookup(fn)
	if err != nil {
		return zero, err
	}
	if n == nil {
		return zero, fmt.Errorf("call %s: the node is nil", runtime.ShortName(f.Name))
	}
	return runtime.Call[In, Out](ctx, n.node, f, in)
}

// CallAll runs fn on every node of a cluster at once, and returns the results
// by index. Its error has those of all nodes that failed, each with the node's
// name: first that of a node that is gone, if there is one, then what the others
// may have failed with because of it. Results of the others are there all the
// same.
func CallAll[In, Out any](ctx context.Context, c *Cluster, fn func(context.Context, In) (Out, error), in In) ([]Out, error) {
	f, err := runtime.Lookup(fn)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("call %s: the cluster is nil", runtime.ShortName(f.Name))
	}
	return runtime.CallAll[In, Out](ctx, c.held.Nodes, f, in)
}

// CallNodes is CallAll on some of a cluster's nodes: the results come in the order
// of the list. A nil node is an error, and nothing is called; for an empty list the
// result is empty.
func CallNodes[In, Out any](ctx context.Context, nodes []*Node, fn func(context.Context, In) (Out, error), in In) ([]Out, error) {
	f, err := runtime.Lookup(fn)
	if err != nil {
		return nil, err
	}
	called := make([]manager.Node, len(nodes))
	for i, n := range nodes {
		if n == nil {
			return nil, fmt.Errorf("call %s: node %d of the list is nil", runtime.ShortName(f.Name), i)
		}
		called[i] = n.node
	}
	return runtime.CallAll[In, Out](ctx, called, f, in)
}
