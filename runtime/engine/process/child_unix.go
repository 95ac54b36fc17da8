//go:build unix

package process

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/wire"
)

// protocol is the version of what passes between the two sides. Both are the
// same binary, so it only ever differs if something else set the variable.
const protocol = "1"

// exitLost is the status of a process that was started as a node and cannot
// be one. It must not go on: it would run the tests, which would start nodes.
const exitLost = 97

// A Child is the node that this process is.
type Child struct {
	control *os.File
}

// inherited is set before user code runs.
var inherited *Child

// Inherited returns the node this process was started as; nil if it is no node.
func Inherited() *Child { return inherited }

// Packages initialise after those they import, so this runs before the code
// of any package that knows of us, TestMain included.
func init() {
	if v, ok := os.LookupEnv(envReaper); ok {
		os.Unsetenv(envReaper)
		if ours(v) {
			reap() // does not return
		}
	}
	generation()
	v, ok := os.LookupEnv(envNode)
	if !ok {
		return
	}
	os.Unsetenv(envNode)
	if !ours(v) {
		return // meant for another program; it came here through somebody's environment
	}
	if err := verify(); err != nil {
		fmt.Fprintf(os.Stderr, "dist: this process was started as a node, but %v: it stops here instead of running the tests\n", err)
		os.Exit(exitLost)
	}
	closeForeign()
	holdLifeline()
	inherited = &Child{control: os.NewFile(fdControl, "control")}
}

// maxDepth is how many processes of a binary may have started each other: a
// test, its node, and what helpers that starts are three.
const maxDepth = 8

// generation stops a binary that starts itself in every process anew, before
// TestMain can tell that it is not to.
func generation() {
	v := os.Getenv(envDepth)
	if _, known := os.LookupEnv(envRun); !known && v == "" {
		return // nothing of ours is above
	}
	own, err := ownKey()
	if err != nil {
		return
	}
	depth := 1
	if key, n, ok := strings.Cut(v, " "); ok && key == own {
		if above, err := strconv.Atoi(n); err == nil {
			depth = above + 1
		}
	}
	if depth > maxDepth {
		fmt.Fprintf(os.Stderr, "dist: this test binary has been started by itself %d times over: it stops here, before it goes on without end\n", depth)
		os.Exit(exitLost)
	}
	os.Setenv(envDepth, fmt.Sprintf("%s %d", own, depth))
}

// ownKey is what tells this binary from other programs. A node asks twice before
// it answers.
var ownKey = sync.OnceValues(func() (string, error) {
	_, key, err := executable()
	return key, err
})

// ours reports whether a variable was set by this very binary for itself.
func ours(v string) bool {
	version, key, _ := strings.Cut(v, " ")
	own, err := ownKey()
	return err == nil && version == protocol && key == own
}

// verify checks that the descriptors are what a test process passes to a node.
func verify() error {
	if !isUnixSocket(fdControl) {
		return fmt.Errorf("descriptor %d is not its control channel", fdControl)
	}
	if err := checkPeer(fdControl); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fdLifeline, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return fmt.Errorf("descriptor %d is not its lifeline", fdLifeline)
	}
	unix.CloseOnExec(fdControl)
	unix.CloseOnExec(fdLifeline)
	return nil
}

func isUnixSocket(fd int) bool {
	sa, err := unix.Getsockname(fd)
	_, ok := sa.(*unix.SockaddrUnix)
	return err == nil && ok
}

// Serve tells the test side that this process leads a node's life, and answers
// its requests with h until the control channel ends.
func (c *Child) Serve(h wire.Handler, ready func(*wire.Conn)) error {
	stream, err := net.FileConn(c.control)
	if err != nil {
		return fmt.Errorf("use the control channel: %w", err)
	}
	c.control.Close()
	conn := wire.New(stream, h)
	ready(conn)
	if err := conn.Tell(methodHello); err != nil {
		return err
	}
	return conn.Serve()
}

// Abandoned ends this process and its group at once: the test side is gone. The
// lifeline says the same, but perhaps a moment later; a node that just exited
// in between would take its end of the lifeline with it, and leave its children.
func (c *Child) Abandoned() { unix.Kill(0, unix.SIGKILL) }
