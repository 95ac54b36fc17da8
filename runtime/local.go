package runtime

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/wire"
)

// Local is a node as the functions that run on it see it. It lasts for one
// lease. It is safe for concurrent use.
type Local struct {
	id     manager.Identity
	conn   *wire.Conn // to the test side
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	cleanups []func()
	ended    bool
	calls    int
}

type localKey struct{}

// Self returns the node that ctx's function runs on. ctx must be, or come
// from, the context that the function was given.
func Self(ctx context.Context) *Local {
	l, ok := ctx.Value(localKey{}).(*Local)
	if !ok {
		panic("dist.Self: this context does not come from a call on a node: pass on the ctx that the node function receives; in the test itself there is no Self, use the *dist.Cluster")
	}
	return l
}

func newLocal(id manager.Identity, c *wire.Conn) *Local {
	l := &Local{id: id, conn: c}
	l.ctx, l.cancel = context.WithCancel(context.WithValue(context.Background(), localKey{}, l))
	return l
}

// Name returns the node's name, "node-1" for index 0.
func (l *Local) Name() string { return l.id.Name }

// Index returns the node's place in the cluster, from 0.
func (l *Local) Index() int { return l.id.Index }

// Size returns the number of nodes in the cluster.
func (l *Local) Size() int { return l.id.Size }

// Names returns the names of all nodes, by index, this node's included.
func (l *Local) Names() []string { return l.id.Names() }

// Dir returns a directory for the node's data: empty when the lease begins,
// kept through a restart, removed when the lease ends. It panics if the
// directory cannot be created.
func (l *Local) Dir() string {
	l.mu.Lock()
	ended := l.ended
	l.mu.Unlock()
	if !ended {
		// Only now: see binaryNode.Dir of package manager.
		if err := os.MkdirAll(l.id.Dir, 0o700); err != nil {
			panic(fmt.Sprintf("dist: Local.Dir: %v", err))
		}
	}
	return l.id.Dir
}

// Context returns a context that lasts for the lease, where a function's ctx
// lasts for its call: what a node goes on doing between calls runs under it.
func (l *Local) Context() context.Context { return l.ctx }

// ListenAddr returns the address, as host:port, that this node binds for a
// named port. It panics if the test has not asked for the port.
func (l *Local) ListenAddr(port string) string {
	addr, ok := l.id.Listen[port]
	if !ok {
		l.unknownPort("ListenAddr", port)
	}
	return addr
}

// Addr returns the address, as host:port, under which others reach a named
// port of this node. It panics if the test has not asked for the port.
func (l *Local) Addr(port string) string { return l.addrs("Addr", port)[l.id.Index] }

// Addrs returns the addresses of a named port on all nodes, by index, this
// node's included. It panics if the test has not asked for the port.
func (l *Local) Addrs(port string) []string { return slices.Clone(l.addrs("Addrs", port)) }

func (l *Local) addrs(method, port string) []string {
	addrs, ok := l.id.Addrs[port]
	if !ok {
		l.unknownPort(method, port)
	}
	return addrs
}

// askForPort is what to do about a port of the test binary's nodes.
const askForPort = "add it to ports= in the directive, or to dist.Ports"

func (l *Local) unknownPort(method, port string) {
	var known []string
	for name := range l.id.Addrs {
		known = append(known, name)
	}
	sort.Strings(known)
	has := "it asked for none"
	if len(known) > 0 {
		has = "it asked for " + strings.Join(known, ", ")
	}
	panic(fmt.Sprintf("dist: Local.%s(%q): the test did not ask for this port (%s): %s", method, port, has, askForPort))
}

// Listen listens on a named port, over TCP. The listener is closed at the end
// of the lease. If the address is taken the error says by whom.
func (l *Local) Listen(port string) (net.Listener, error) {
	return listen(l, "listen on", port, net.Listen, "tcp")
}

// ListenPacket is Listen for UDP, which a port may be used for besides TCP. The
// node should send from this socket, too: what it sends comes from its Addr then,
// for those who get it.
func (l *Local) ListenPacket(port string) (net.PacketConn, error) {
	return listen(l, "receive datagrams on", port, net.ListenPacket, "udp")
}

func listen[T io.Closer](l *Local, op, port string, listen func(network, address string) (T, error), network string) (T, error) {
	addr := l.ListenAddr(port)
	c, err := listen(network, addr)
	if err != nil {
		f := diagnostics.Failure{
			Phase: diagnostics.PhaseCall, Op: fmt.Sprintf("%s port %q of %s", op, port, l.id.Name),
			Node: l.id.Name, Name: port, Address: addr, Err: err, PID: os.Getpid(),
		}
		diagnostics.Gather(l.ctx, &f)
		var none T
		return none, diagnostics.Diagnose(f)
	}
	l.Cleanup(func() { c.Close() })
	return c, nil
}

// Cleanup has f called at the end of the lease, or before the node is stopped
// or restarted; functions added last are called first. A node that is killed
// calls none.
func (l *Local) Cleanup(f func()) {
	l.mu.Lock()
	ended := l.ended
	if !ended {
		l.cleanups = append(l.cleanups, f)
	}
	l.mu.Unlock()
	if ended {
		f() // too late to wait for anything
	}
}

// begin counts a call in, unless the lease has ended.
func (l *Local) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.calls++
	return true
}

func (l *Local) done() {
	l.mu.Lock()
	l.calls--
	l.mu.Unlock()
}

func (l *Local) running() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// end ends the lease on this node: the context first, then the cleanups. It
// returns what the cleanups panicked with.
func (l *Local) end() (errs []string) {
	l.cancel()
	for {
		l.mu.Lock()
		n := len(l.cleanups)
		if n == 0 {
			l.ended = true
			l.mu.Unlock()
			return errs
		}
		f := l.cleanups[n-1]
		l.cleanups = l.cleanups[:n-1]
		l.mu.Unlock()
		if err := protect(f); err != "" {
			errs = append(errs, err)
		}
	}
}

func protect(f func()) (text string) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			text = fmt.Sprintf("a cleanup panicked: %v\n\n%s", v, debug.Stack())
		} else {
			text = "a cleanup called runtime.Goexit"
		}
	}()
	f()
	returned = true
	return ""
}
