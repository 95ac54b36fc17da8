package programs

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// ask sends one line to a node and returns the line that comes back.
func ask(t *testing.T, n *dist.Node, format string, args ...any) string {
	t.Helper()
	answer, err := try(n, fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatalf("%s: %v", n.Name(), err)
	}
	return answer
}

func try(n *dist.Node, line string) (string, error) {
	c, err := net.Dial("tcp", n.Addr("kv"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(answer), err
}

//dist:nodes=3 program=kv ports=kv
func TestStarts(t *testing.T) {
	c := dist.Require(t)
	if c.Size() != 3 {
		t.Fatalf("%d nodes", c.Size())
	}
	pids := make(map[int]bool)
	for i, n := range c.Nodes() {
		if who := ask(t, n, "who"); who != n.Name() || who != fmt.Sprintf("node-%d", i+1) || n.Index() != i {
			t.Errorf("node %d is %s, and says it is %s", i, n.Name(), who)
		}
		if peers := ask(t, n, "peers"); peers != strings.Join(c.Addrs("kv"), ",") {
			t.Errorf("%s has peers %s; want %q", n.Name(), peers, c.Addrs("kv"))
		}
		if cluster := ask(t, n, "env KV_CLUSTER"); cluster != c.ID() {
			t.Errorf("%s is of cluster %s; want %s", n.Name(), cluster, c.ID())
		}
		if b, err := os.ReadFile(n.Log()); !strings.Contains(string(b), n.Name()+" serves on "+n.Addr("kv")) {
			t.Errorf("log of %s: %q, %v", n.Name(), b, err)
		}
		if !n.Running() || pids[n.PID()] {
			t.Errorf("%s: running %t, pid %d", n.Name(), n.Running(), n.PID())
		}
		pids[n.PID()] = true
	}
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Error(err)
	}
}

// The next two are the same test: neither sees what the other has written.
//
//dist:nodes=2 program=kv
func TestFresh1(t *testing.T) { fresh(t) }

//dist:nodes=2 program=kv
func TestFresh2(t *testing.T) { fresh(t) }

func fresh(t *testing.T) {
	c := dist.Require(t)
	for _, n := range c.Nodes() {
		if v := ask(t, n, "get colour"); v != "none" {
			t.Errorf("%s has colour %s; want none", n.Name(), v)
		}
		ask(t, n, "set colour green")
	}
}

//dist:nodes=2 program=kv shared
func TestShared1(t *testing.T) { t.Parallel(); together(t, "one", "two") }

//dist:nodes=2 program=kv shared
func TestShared2(t *testing.T) { t.Parallel(); together(t, "two", "one") }

// together returns once both tests have the cluster at the same time.
func together(t *testing.T, mine, other string) {
	c := dist.Require(t)
	ask(t, c.Node(0), "set %s here", mine)
	for ask(t, c.Node(0), "get %s", other) != "here" {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

//dist:nodes=2 program=kv shared
func TestSharedFault(t *testing.T) { dist.Require(t).Node(0).Kill() }

//dist:nodes=2 program=kv shared
func TestSharedNetworkFault(t *testing.T) { dist.Require(t).Heal() }

//dist:nodes=2 program=kv
func TestNetworkFault(t *testing.T) {
	c := dist.Require(t)
	if err := c.Isolate(c.Node(0)); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Errorf("an isolated node is cut off from the test: %v", err)
	}
	if err := c.Node(1).Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

//dist:nodes=2 program=kv
func TestFaults(t *testing.T) {
	c, ctx := dist.Require(t), t.Context()
	n := c.Node(0)
	ask(t, n, "set colour green")
	addr, pid, dir := n.Addr("kv"), n.PID(), n.Dir()

	n.Kill()
	if n.Running() {
		t.Error("it runs after Kill")
	}
	if _, err := try(n, "who"); err == nil {
		t.Error("it answers after Kill")
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	if err := c.WaitHealthy(short); err == nil || !strings.Contains(err.Error(), "node-1") || !strings.Contains(err.Error(), "killed by the test") {
		t.Errorf("WaitHealthy after Kill: %v", err)
	}
	cancel()

	n.Restart(ctx)
	if n.Addr("kv") != addr || n.PID() == pid || n.Dir() != dir {
		t.Errorf("restarted: %s, pid %d, %s; was %s, pid %d, %s", n.Addr("kv"), n.PID(), n.Dir(), addr, pid, dir)
	}
	if v := ask(t, n, "get colour"); v != "green" {
		t.Errorf("colour = %s after a restart; want green", v)
	}

	n.Pause()
	if !n.Running() {
		t.Error("a paused node does not run")
	}
	n.Resume()
	ask(t, n, "who")

	n.Stop(ctx)
	if b, err := os.ReadFile(n.Log()); !strings.Contains(string(b), "node-1 ends") {
		t.Errorf("it was not asked to stop: log %q, %v", b, err)
	}
	n.Restart(ctx)
	if err := c.WaitHealthy(ctx); err != nil {
		t.Error(err)
	}
}

func hello(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }

//dist:nodes=1 program=kv
func TestCall(t *testing.T) {
	c := dist.Require(t)
	_, err := dist.Call(t.Context(), c.Node(0), hello, struct{}{})
	if err == nil || !strings.Contains(err.Error(), "node-1 runs program kv") {
		t.Errorf("calling a function on a program: %v", err)
	}
}

// TestMixed has a cluster of the test binary beside those of programs.
//
//dist:nodes=2
func TestMixed(t *testing.T) {
	if _, err := dist.CallAll(t.Context(), dist.Require(t), hello, struct{}{}); err != nil {
		t.Error(err)
	}
}

//dist:nodes=1 program=broken
func TestBroken(t *testing.T) { dist.Require(t) }

// TestDies has a node that ends by itself, unnoticed.
//
//dist:nodes=2 program=kv
func TestDies(t *testing.T) {
	n := dist.Require(t).Node(1)
	try(n, "exit")
	for {
		if c, err := net.Dial("tcp", n.Addr("kv")); err != nil {
			return
		} else {
			c.Close()
		}
	}
}

//dist:nodes=1 program=kv ports=raft
func TestUnknownPort(t *testing.T) { dist.Require(t) }

//dist:nodes=2 program=outside
func TestAttached(t *testing.T) {
	c := dist.Require(t)
	for _, n := range c.Nodes() {
		ask(t, n, "set colour green")
		if n.PID() != 0 || !n.Running() || n.Dir() != "" || n.Log() != "" {
			t.Errorf("%s: pid %d, running %t, dir %q, log %q", n.Name(), n.PID(), n.Running(), n.Dir(), n.Log())
		}
	}
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Error(err)
	}
}

//dist:nodes=1 program=outside
func TestAttachedFault(t *testing.T) { dist.Require(t).Node(0).Kill() }

//dist:nodes=3 program=outside
func TestAttachedSmall(t *testing.T) { dist.Require(t) }

// TestDir leaves its name behind for its caller.
//
//dist:nodes=1 program=kv
func TestDir(t *testing.T) {
	n := dist.Require(t).Node(0)
	if filepath.Base(n.Dir()) != "node-1" {
		t.Error(n.Dir())
	}
	t.Logf("it is pid %d in %s", n.PID(), n.Dir())
}

// TestHang runs until somebody kills it. It notes the pids of its nodes.
//
//dist:nodes=3 program=kv
func TestHang(t *testing.T) {
	c := dist.Require(t)
	file := os.Getenv("SUITE_PIDS")
	if file == "" {
		t.Skip("it is for others to run")
	}
	var pids []int
	for _, n := range c.Nodes() {
		pids = append(pids, n.PID())
	}
	b, err := json.Marshal(pids)
	if err == nil {
		err = os.WriteFile(file+".tmp", b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Hour)
}
