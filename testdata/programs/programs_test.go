package programs

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/nemesis"
	"github.com/distkit/dist/runtime/diagnostics"
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

// Programs talk over UDP by way of links, too, and see each other's addresses.
//
//dist:nodes=2 program=kv
func TestDatagrams(t *testing.T) {
	c := dist.Require(t)
	a, b := c.Node(0), c.Node(1)
	tell := func(text string) { ask(t, a, "tell %s %s", b.Addr("kv"), text) }
	heard := func(text string) {
		t.Helper()
		for began := time.Now(); ; {
			from := ask(t, b, "heard %s", text)
			if from == a.Addr("kv") {
				return
			}
			if from != "nobody" {
				t.Fatalf("%q comes from %s, not from %s", text, from, a.Addr("kv"))
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("%q has not come in a minute", text)
			}
			time.Sleep(time.Millisecond)
		}
	}
	tell("before")
	heard("before")
	c.Link(a, b).Cut()
	tell("cut")
	c.Link(b, a).Cut()
	tell("cut-again")
	c.Link(a, b).Heal()
	c.Link(a, b).Loss(1)
	tell("lost")
	c.Link(a, b).Loss(0)
	tell("healed")
	heard("healed") // after all of them
	if from := ask(t, b, "heard cut"); from != "nobody" {
		t.Errorf("%s was heard across a cut", from)
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

// The next two are the same test: each has nodes of the first version to begin
// with.
//
//dist:nodes=3 program=kv
func TestUpgrade1(t *testing.T) { upgrade(t, "none") }

//dist:nodes=3 program=kv
func TestUpgrade2(t *testing.T) { upgrade(t, "none") }

// Where data are kept, the second test finds what the first has left.

//dist:nodes=3 program=kept
func TestUpgradeKept1(t *testing.T) { upgrade(t, "none") }

//dist:nodes=3 program=kept
func TestUpgradeKept2(t *testing.T) { upgrade(t, "green") }

func upgrade(t *testing.T, before string) {
	c, ctx := dist.Require(t), t.Context()
	version := func(n *dist.Node, want string) {
		t.Helper()
		if v := ask(t, n, "version"); v != want {
			t.Errorf("%s answers %s; want %s", n.Name(), v, want)
		}
	}
	const first, second = "what?", "2" // the first version does not know
	for _, n := range c.Nodes() {
		version(n, first)
		if v := ask(t, n, "get colour"); v != before {
			t.Errorf("%s has colour %s; want %s", n.Name(), v, before)
		}
		ask(t, n, "set colour green")
	}
	for i, n := range c.Nodes() {
		addr, pid, dir := n.Addr("kv"), n.PID(), n.Dir()
		if i == 1 {
			n.Kill()
		}
		if i == 2 {
			n.Pause()
		}
		if err := n.RestartAs(ctx, "kv2"); err != nil {
			t.Fatal(err)
		}
		if n.Addr("kv") != addr || n.PID() == pid || n.Dir() != dir || !n.Running() {
			t.Errorf("%s: %s, pid %d, %s; was %s, pid %d, %s", n.Name(), n.Addr("kv"), n.PID(), n.Dir(), addr, pid, dir)
		}
		for j, other := range c.Nodes() {
			if j <= i {
				version(other, second)
			} else {
				version(other, first)
			}
		}
		if v := ask(t, n, "get colour"); v != "green" {
			t.Errorf("%s has colour %s after its upgrade; want green", n.Name(), v)
		}
	}
	if err := c.WaitHealthy(ctx); err != nil {
		t.Error(err)
	}
	n := c.Node(0)
	n.Restart(ctx)
	version(n, second)
	n.Stop(ctx)
	if b, err := os.ReadFile(n.Log()); !strings.Contains(string(b), n.Name()+" ends, version 2") {
		t.Errorf("it was not asked to stop: log %q, %v", b, err)
	}
	n.Restart(ctx)
	version(n, second)
	if before == "none" {
		n.RestartAs(ctx, "kv") // a downgrade
		version(n, first)
	}
}

// TestUpgradeTakenBack has a schedule of upgrades that are taken back.
//
//dist:nodes=3 program=kv
func TestUpgradeTakenBack(t *testing.T) {
	c := dist.Require(t)
	versions := func() (new int) {
		for _, n := range c.Nodes() {
			if ask(t, n, "version") == "2" {
				new++
			}
		}
		return new
	}
	err := nemesis.Run(t, c, nemesis.Options{
		Rounds: 4,
		During: func(context.Context) error {
			if n := versions(); n != 1 {
				t.Errorf("%d of 3 nodes are of the second version, not 1", n)
			}
			return nil
		},
		After: c.WaitHealthy,
	}, nemesis.RestartAs("kv2", "kv", nemesis.Minority))
	if n := versions(); n != 0 || err != nil {
		t.Errorf("%d nodes are of the second version; %v", n, err)
	}
}

//dist:nodes=1 program=kv
func TestUpgradeErrors(t *testing.T) {
	n := dist.Require(t).Node(0)
	pid := n.PID()
	for _, program := range []string{"kv3", "wider"} {
		if err := n.RestartAs(t.Context(), program); err == nil || n.PID() != pid || ask(t, n, "who") != "node-1" {
			t.Errorf("as %s: %v; pid %d, was %d", program, err, n.PID(), pid)
		} else {
			fmt.Println(err)
		}
	}
	if err := n.RestartAs(t.Context(), "broken"); err == nil || n.Running() {
		t.Errorf("as broken: %v; running: %t", err, n.Running())
	}
	if err := n.Restart(t.Context()); err != nil || ask(t, n, "who") != "node-1" {
		t.Errorf("restarted as what it was: %v", err)
	} else {
		fmt.Println("restarted as what it was")
	}
	if err := n.RestartAs(t.Context(), "kv"); err != nil || !n.Running() {
		t.Errorf("as kv again: %v", err)
	} else {
		fmt.Println("kv again")
	}
}

//dist:nodes=1 program=kv
func TestUpgradeErrorsAfter(t *testing.T) {
	if who := ask(t, dist.Require(t).Node(0), "who"); who == "node-1" {
		fmt.Println("the next test has kv")
	}
}

//dist:nodes=1
func TestUpgradeTests(t *testing.T) { dist.Require(t).Node(0).RestartAs(t.Context(), "kv") }

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

// TestKilled has a node killed by a stranger.
//
//dist:nodes=2 program=kv
func TestKilled(t *testing.T) {
	c := dist.Require(t)
	n := c.Node(1)
	ask(t, n, "who") // by then it has logged something
	p, err := os.FindProcess(n.PID())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	if n.Pause() == nil || n.Resume() == nil {
		t.Error("a node that was killed is paused")
	}
	for wait := 50 * time.Millisecond; wait < time.Minute; wait *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		err = c.WaitHealthy(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "2 of 2") { // the other has had the time to answer
			break
		}
	}
	if d, ok := errors.AsType[*diagnostics.Diagnosis](err); !ok || d.Code != diagnostics.NodeSignal {
		t.Errorf("WaitHealthy: no diagnosis: %v", err)
	}
	t.Log(err)
}

// TestDiesAndRestarts restarts a node that has ended by itself, unnoticed.
//
//dist:nodes=2 program=kv
func TestDiesAndRestarts(t *testing.T) {
	n := dist.Require(t).Node(1)
	pid := n.PID()
	try(n, "exit")
	for syscall.Kill(pid, 0) == nil { // which tells nobody but this test
		time.Sleep(time.Millisecond)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(t, n, "who")
}

//dist:nodes=1 program=kv ports=raft
func TestUnknownPort(t *testing.T) { dist.Require(t) }

//dist:nodes=1 program=kv
func TestNoPort(t *testing.T) { dist.Require(t).Node(0).Addr("raft") }

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

//dist:nodes=1 program=outside
func TestAttachedNoPort(t *testing.T) { dist.Require(t).Addrs("raft") }

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

//dist:nodes=1 program=flaky ports=kv
func TestFlaky(t *testing.T) {
	if who := ask(t, dist.Require(t).Node(0), "who"); who != "node-1" {
		t.Errorf("got %q", who)
	}
}

//dist:nodes=1 program=flaky optional
func TestFlakyOptional(t *testing.T) { dist.Require(t) }

//dist:nodes=3 min=2 program=kv
func TestReducible(t *testing.T) {
	if c := dist.Require(t); c.Size() != 2 {
		t.Errorf("%d nodes", c.Size())
	}
}
