package dist_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// A postbox is what runs on a node that gets datagrams.
type postbox struct {
	conn net.PacketConn

	mu    sync.Mutex
	got   map[string]string // where it came from, by text
	heard chan struct{}     // closed, and made anew, when something has come
}

var thePostbox *postbox

func startPostbox(ctx context.Context, _ struct{}) (struct{}, error) {
	c, err := dist.Self(ctx).ListenPacket("gossip")
	if err != nil {
		return struct{}{}, err
	}
	p := &postbox{conn: c, got: make(map[string]string), heard: make(chan struct{})}
	thePostbox = p
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.got[string(buf[:n])] = from.String()
			close(p.heard)
			p.heard = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	return struct{}{}, nil
}

// sendDatagram sends from the socket that the node binds, or from another one.
func sendDatagram(ctx context.Context, msg message) (struct{}, error) {
	to := dist.Self(ctx).Addrs("gossip")[msg.To]
	if msg.New {
		c, err := net.Dial("udp", to)
		if err != nil {
			return struct{}{}, err
		}
		defer dist.Self(ctx).Cleanup(func() { c.Close() })
		_, err = fmt.Fprint(c, msg.Text)
		return struct{}{}, err
	}
	addr, err := net.ResolveUDPAddr("udp", to)
	if err == nil {
		_, err = thePostbox.conn.WriteTo([]byte(msg.Text), addr)
	}
	return struct{}{}, err
}

// gotDatagram waits for a datagram, and says where it came from.
func gotDatagram(ctx context.Context, text string) (string, error) {
	p := thePostbox
	for {
		p.mu.Lock()
		heard, from := p.heard, p.got[text]
		p.mu.Unlock()
		if from != "" {
			return from, nil
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func countDatagrams(ctx context.Context, _ struct{}) (int, error) {
	p := thePostbox
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got), nil
}

//dist:nodes=3 ports=gossip
func TestDatagrams(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("network faults between nodes need Linux")
	}
	c := dist.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n := &networkTest{Cluster: c, t: t, ctx: ctx}
	_, err := dist.CallAll(ctx, c, startPostbox, struct{}{})
	n.ok(err)
	a, b := c.Node(0), c.Node(1)
	send := func(from *dist.Node, to int, fresh bool) string {
		t.Helper()
		n.seq++
		text := fmt.Sprint("datagram ", n.seq)
		if _, err := dist.Call(ctx, from, sendDatagram, message{to, text, fresh}); err != nil {
			t.Fatal(err)
		}
		return text
	}
	arrives := func(from *dist.Node, to int) {
		t.Helper()
		for _, fresh := range []bool{false, true} {
			source, err := dist.Call(ctx, c.Node(to), gotDatagram, send(from, to, fresh))
			if err != nil {
				t.Fatalf("%s to node %d: %v", from.Name(), to, err)
			}
			if is := source == from.Addr("gossip"); is == fresh {
				t.Errorf("a datagram of %s, another socket's: %t, comes from %s", from.Name(), fresh, source)
			}
		}
	}
	lost := func(from *dist.Node, to int) {
		t.Helper()
		for _, fresh := range []bool{false, true} {
			text := send(from, to, fresh)
			short, cancel := context.WithTimeout(ctx, silence)
			if _, err := dist.Call(short, c.Node(to), gotDatagram, text); err == nil {
				t.Errorf("%s to node %d across a cut: %q has arrived", from.Name(), to, text)
			}
			cancel()
		}
	}
	arrives(a, 1)
	n.ok(c.Partition(c.Nodes()[:1], c.Nodes()[1:]))
	lost(a, 1)
	lost(b, 0)
	arrives(b, 2)
	n.ok(c.Heal())
	arrives(a, 1)
	// A node that has been restarted is the same one.
	n.ok(a.Kill())
	n.ok(a.Restart(ctx))
	_, err = dist.Call(ctx, a, startPostbox, struct{}{})
	n.ok(err)
	n.ok(c.Link(a, b).Cut())
	lost(a, 1)
	arrives(b, 0)
	n.ok(c.Link(a, b).Heal())
	n.ok(c.Link(a, b).Loss(0.5))
	before, err := dist.Call(ctx, b, countDatagrams, struct{}{})
	n.ok(err)
	const many = 100
	for range many {
		send(a, 1, false)
	}
	n.ok(c.Heal())
	arrives(a, 1) // after all of them
	after, err := dist.Call(ctx, b, countDatagrams, struct{}{})
	n.ok(err)
	if arrived := after - before - 2; arrived < many/5 || arrived > many*4/5 {
		t.Errorf("%d of %d datagrams have arrived, of which half should be lost", arrived, many)
	}
}
