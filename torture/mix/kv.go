package mix

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// ask sends one line to a node that runs the program kv.
func ask(n *dist.Node, format string, args ...any) (string, error) {
	c, err := net.Dial("tcp", n.Addr("kv"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(c, format+"\n", args...); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(answer), err
}

// RunKV does random things with nodes that run the program kv.
func RunKV(t *testing.T, c *dist.Cluster, shared bool) {
	m := &mixer{t, c, Rand(t)}
	gone := func(n *dist.Node, err error) { m.gone(n, err, shared) }
	has := make([]string, c.Size())
	for i := range has {
		has[i] = "none"
	}
	get := func(n *dist.Node) {
		got, err := ask(n, "get %s", t.Name())
		if err != nil {
			gone(n, err)
		}
		if got != has[n.Index()] {
			m.wrong("%s had %q from the test, and has %q", n.Name(), has[n.Index()], got)
		}
	}
	put := func(n *dist.Node) {
		value := fmt.Sprint(m.r.Uint64())
		answer, err := ask(n, "set %s %s", t.Name(), value)
		if err != nil {
			gone(n, err)
		}
		if answer != "ok" {
			t.Fatalf("%s cannot keep anything: %s", n.Name(), answer)
		}
		has[n.Index()] = value
	}
	all := []func(n *dist.Node){get, put}
	if shared {
		put(c.Node(0)) // what is there may be from an earlier run of this test
		for _, n := range c.Nodes()[1:] {
			put(n)
		}
	} else {
		all = append(all, func(n *dist.Node) {
			if n.Kill() != nil {
				t.FailNow()
			}
			ctx, cancel := within(t)
			defer cancel()
			if n.Restart(ctx) != nil {
				t.FailNow()
			}
		}, func(n *dist.Node) {
			if n.Pause() != nil || n.Resume() != nil {
				t.FailNow()
			}
		})
	}
	for range steps() {
		n := c.Node(m.r.IntN(c.Size()))
		all[m.r.IntN(len(all))](n)
		get(n)
	}
	Record(t, c)
}

// gone is for a program that does not answer: if it is still there, that is
// wrong.
func (m *mixer) gone(n *dist.Node, err error, shared bool) {
	m.Helper()
	// Nobody restarts a node that has ended: all of the patience would be waited for.
	ctx, cancel := context.WithTimeout(m.T.Context(), patience/3)
	defer cancel()
	// One that is about to end may take connections for a moment.
	for {
		if unwell := m.c.WaitHealthy(ctx); unwell != nil {
			m.Fatalf("%v: %v", err, unwell)
		}
		if _, failed := ask(n, "get %s", m.Name()); failed == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if errors.Is(err, syscall.EMFILE) { // this test's own socket
		m.Fatal(err)
	}
	if shared { // another test may have had it started again, and then this one is told
		m.Fatal(err)
	}
	m.wrong("%s is well, and yet: %v", n.Name(), err)
}
