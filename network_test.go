package dist_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/runtime/network/namespaces"
)

// A mesh is what runs on a node: it answers every line with the same line, and
// keeps a connection to each node, itself included.
type mesh struct {
	mu    sync.Mutex
	conns map[int]net.Conn
	lines map[string]bool  // that came back, as "peer text"
	errs  map[int]error    // that ended a connection
	fails map[string]error // of messages that could not be sent
	heard chan struct{}    // closed, and made anew, when any of these has changed
}

var theMesh *mesh

func startMesh(ctx context.Context, _ struct{}) (struct{}, error) {
	s := dist.Self(ctx)
	l, err := s.Listen("tcp")
	if err != nil {
		return struct{}{}, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.Cleanup(func() { c.Close() })
			go func() {
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintln(c, in.Text())
				}
				c.Close()
			}()
		}
	}()
	theMesh = &mesh{conns: make(map[int]net.Conn), lines: make(map[string]bool), errs: make(map[int]error), fails: make(map[string]error), heard: make(chan struct{})}
	return struct{}{}, nil
}

// note changes what is known, and tells those who wait for it.
func (m *mesh) note(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	close(m.heard)
	m.heard = make(chan struct{})
}

type message struct {
	To   int
	Text string
	New  bool // over a connection of its own
}

// send sends a message, and does not wait for the answer, nor for the connection
// that a new one needs.
func send(ctx context.Context, msg message) (struct{}, error) {
	s, m := dist.Self(ctx), theMesh
	m.mu.Lock()
	c := m.conns[msg.To]
	m.mu.Unlock()
	if c == nil || msg.New {
		go func() {
			c, err := (&net.Dialer{}).DialContext(s.Context(), "tcp", s.Addrs("tcp")[msg.To])
			if err == nil {
				s.Cleanup(func() { c.Close() })
				_, err = fmt.Fprintln(c, msg.Text)
			}
			if err != nil {
				m.note(func() { m.fails[fmt.Sprint(msg.To, " ", msg.Text)] = err })
				return
			}
			if !msg.New {
				m.note(func() { m.conns[msg.To] = c })
			}
			in := bufio.NewScanner(c)
			for in.Scan() {
				m.note(func() { m.lines[fmt.Sprint(msg.To, " ", in.Text())] = true })
			}
			m.note(func() {
				if m.conns[msg.To] == c {
					delete(m.conns, msg.To)
				}
				m.errs[msg.To] = errors.Join(in.Err(), errors.New("ended"))
			})
		}()
		return struct{}{}, nil
	}
	_, err := fmt.Fprintln(c, msg.Text)
	return struct{}{}, err
}

// answered waits for the answer to a message, or ctx.
func answered(ctx context.Context, msg message) (bool, error) {
	m := theMesh
	for {
		m.mu.Lock()
		which := fmt.Sprint(msg.To, " ", msg.Text)
		heard, ok, err := m.heard, m.lines[which], m.fails[which]
		m.mu.Unlock()
		if ok || err != nil {
			return ok, err
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// connectionEnded waits until a connection to a node has ended, and says how.
func connectionEnded(ctx context.Context, peer int) (string, error) {
	m := theMesh
	for {
		m.mu.Lock()
		heard, err := m.heard, m.errs[peer]
		m.mu.Unlock()
		if err != nil {
			return err.Error(), nil
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// A networkTest is a test's view of a mesh.
type networkTest struct {
	*dist.Cluster
	t   *testing.T
	ctx context.Context
	seq int
}

func newNetwork(t *testing.T) *networkTest {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("network faults between nodes need Linux")
	}
	n := &networkTest{Cluster: dist.Require(t), t: t}
	var cancel context.CancelFunc
	n.ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	if _, err := dist.CallAll(n.ctx, n.Cluster, startMesh, struct{}{}); err != nil {
		t.Fatal(err)
	}
	n.want("")
	return n
}

func (n *networkTest) ok(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// silence is how long nothing must arrive. What is wrong would arrive in a
// thousandth of it.
const silence = 50 * time.Millisecond

// want has every node send to every other, over the connections that are there
// and over new ones. What is sent across the pairs "from-to" that are cut is not
// answered, all else is. It returns the unanswered messages.
func (n *networkTest) want(cut string) (lost map[*dist.Node][]message) {
	n.t.Helper()
	lost = make(map[*dist.Node][]message)
	type sent struct {
		from *dist.Node
		message
		across bool
	}
	var all []sent
	for _, from := range n.Nodes() {
		for to := range n.Size() {
			for _, fresh := range []bool{false, true} {
				n.seq++
				msg := message{to, fmt.Sprint("message ", n.seq), fresh}
				if _, err := dist.Call(n.ctx, from, send, msg); err != nil {
					n.t.Fatalf("%s to %d: %v", from.Name(), to, err)
				}
				all = append(all, sent{from, msg, strings.Contains(cut, fmt.Sprintf("%d-%d", from.Index(), to))})
			}
		}
	}
	for _, s := range all {
		if !s.across {
			if _, err := dist.Call(n.ctx, s.from, answered, s.message); err != nil {
				n.t.Fatalf("%s to %d: %v: %v", s.from.Name(), s.To, s.message, err)
			}
		}
	}
	var wg sync.WaitGroup
	for _, s := range all {
		if s.across {
			lost[s.from] = append(lost[s.from], s.message)
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(n.ctx, silence)
				defer cancel()
				if ok, _ := dist.Call(ctx, s.from, answered, s.message); ok {
					n.t.Errorf("%s to %d across a cut: %v was answered", s.from.Name(), s.To, s.message)
				}
			})
		}
	}
	wg.Wait()
	return lost
}

// arrived fails unless messages are answered after all.
func (n *networkTest) arrived(lost map[*dist.Node][]message) {
	n.t.Helper()
	for from, msgs := range lost {
		for _, msg := range msgs {
			if _, err := dist.Call(n.ctx, from, answered, msg); err != nil {
				n.t.Errorf("%s: %v was not answered after the cut: %v", from.Name(), msg, err)
			}
		}
	}
}

//dist:nodes=3 ports=tcp
func TestPartition(t *testing.T) {
	n := newNetwork(t)
	nodes := n.Nodes()
	n.ok(n.Partition(nodes[:1], nodes[1:]))
	lost := n.want("0-1 0-2 1-0 2-0")
	n.ok(n.Partition(nodes[1:2])) // the others are the other group
	n.arrived(map[*dist.Node][]message{nodes[0]: lost[nodes[0]][2:], nodes[2]: lost[nodes[2]][:2]})
	n.want("0-1 1-0 1-2 2-1")
	n.ok(n.Heal())
	n.arrived(lost)
	n.want("")
	n.ok(n.Isolate(nodes[2]))
	n.ok(n.Isolate(nodes[1]))
	lost = n.want("0-1 0-2 1-0 1-2 2-0 2-1")
	n.ok(n.Heal())
	n.arrived(lost)
	n.want("")
}

//dist:nodes=3 ports=tcp
func TestLink(t *testing.T) {
	n := newNetwork(t)
	a, b := n.Node(0), n.Node(1)
	// An answer takes both directions, and so does a new connection.
	n.ok(n.Link(a, b).Cut())
	lost := n.want("0-1 1-0")
	n.ok(n.Link(a, b).Heal())
	n.arrived(lost)
	n.ok(n.Link(b, a).Both().Cut())
	lost = n.want("0-1 1-0")
	n.ok(n.Link(b, a).Heal())
	n.want("0-1 1-0")
	n.ok(n.Link(a, b).Heal())
	n.arrived(lost)
	n.want("")
	n.ok(n.Link(a, b).Reset())
	if how, err := dist.Call(n.ctx, a, connectionEnded, 1); err != nil || !strings.Contains(how, "connection reset") {
		t.Errorf("the connection: %s, %v", how, err)
	}
	n.want("")
}

//dist:nodes=3 ports=tcp
func TestShapedLink(t *testing.T) {
	if os.Getenv("DIST_NETWORK_FAULTS") == "namespaces" {
		if err := namespaces.TryShaping(); err != nil {
			t.Skip(err)
		}
	}
	n := newNetwork(t)
	a, b := n.Node(0), n.Node(1)
	const delay = 40 * time.Millisecond
	n.ok(n.Link(a, b).Delay(delay, time.Millisecond))
	begin := time.Now()
	msg := message{To: 1, Text: "delayed"}
	if _, err := dist.Call(n.ctx, a, send, msg); err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(n.ctx, a, answered, msg); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < delay {
		t.Errorf("an answer after %v in spite of a delay of %v", took, delay)
	}
	n.ok(n.Link(a, b).Bandwidth(1 << 20))
	n.want("")
	n.ok(n.Heal())
	n.want("")
}

// Nodes are killed, restarted and paused in a network that is parted.
//
//dist:nodes=3 ports=tcp
func TestPartitionAndProcesses(t *testing.T) {
	n := newNetwork(t)
	nodes := n.Nodes()
	n.ok(n.Isolate(nodes[2]))
	n.ok(nodes[2].Kill())
	n.ok(nodes[2].Restart(n.ctx))
	if _, err := dist.Call(n.ctx, nodes[2], startMesh, struct{}{}); err != nil {
		t.Fatal(err)
	}
	// Another process, and the same node.
	lost := n.want("0-2 1-2 2-0 2-1")
	n.ok(n.Heal())
	n.arrived(map[*dist.Node][]message{nodes[2]: lost[nodes[2]]})
	// The others' connections were to the node that was killed.
	for _, from := range nodes[:2] {
		if _, err := dist.Call(n.ctx, from, connectionEnded, 2); err != nil {
			t.Fatal(err)
		}
	}
	n.want("")
	n.ok(nodes[1].Pause())
	n.ok(n.Partition(nodes[:1], nodes[1:]))
	n.ok(nodes[1].Resume())
	lost = n.want("0-1 0-2 1-0 2-0")
	n.ok(n.Heal())
	n.arrived(lost)
}

// The test itself is on no side, and a fault ends with its lease: the second
// subtest gets the same nodes.
//
//dist:nodes=2 ports=tcp reuse
func TestPartitionEndsWithTheLease(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("network faults between nodes need Linux")
	}
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			n.ok(n.Isolate(n.Node(0)))
			for i := range n.Nodes() {
				c, err := net.Dial("tcp", n.Node(i).Addr("tcp"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(time.Minute))
				fmt.Fprintln(c, "hello")
				if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "hello\n" {
					t.Errorf("%q, %v from an isolated node to the test", line, err)
				}
			}
			n.want("0-1 1-0")
		})
	}
}
