package suite

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist"
)

func collatz(_ context.Context, n int) (int, error) { return OnlyOnNodes(n), nil }

func pid(ctx context.Context, _ struct{}) (int, error) { return os.Getpid(), nil }

func say(ctx context.Context, text string) (struct{}, error) {
	fmt.Println(text)
	return struct{}{}, nil
}

func exitSoon(ctx context.Context, code int) (struct{}, error) {
	go func() {
		<-ctx.Done() // when the call has returned
		fmt.Println("leaving behind the test's back")
		os.Exit(code)
	}()
	return struct{}{}, nil
}

// killSoon has the node killed while the test is ending, or has just ended.
func killSoon(ctx context.Context, _ struct{}) (struct{}, error) {
	go func() {
		<-ctx.Done()
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}()
	return struct{}{}, nil
}

func cleanupPanics(ctx context.Context, _ struct{}) (struct{}, error) {
	dist.Self(ctx).Cleanup(func() { panic("no way to clean up") })
	return struct{}{}, nil
}

func cleanupExits(ctx context.Context, _ struct{}) (struct{}, error) {
	dist.Self(ctx).Cleanup(func() {
		fmt.Println("leaving with nothing cleaned up")
		os.Exit(0)
	})
	return struct{}{}, nil
}

var shared int

func race(ctx context.Context, _ struct{}) (struct{}, error) {
	done := make(chan bool)
	go func() { shared++; close(done) }()
	shared++
	<-done
	return struct{}{}, nil
}

func spawn(ctx context.Context, session bool) (int, error) {
	cmd := exec.Command("sleep", "3600")
	if session {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// nothingStarted fails if a process or a file of a cluster is there.
func nothingStarted(t *testing.T) {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "dist-*"))
	children, _ := filepath.Glob("/proc/self/task/*/children")
	for _, c := range children {
		if b, _ := os.ReadFile(c); len(strings.TrimSpace(string(b))) > 0 {
			left = append(left, "process "+string(b))
		}
	}
	if len(left) > 0 {
		t.Errorf("there is %q", left)
	}
}

func TestPlain(t *testing.T) { nothingStarted(t) }

//dist:nodes=3
func TestThree(t *testing.T) {
	c := dist.Require(t)
	got, err := dist.CallAll(t.Context(), c, collatz, 7)
	if err != nil || fmt.Sprint(got) != "[22 22 22]" {
		t.Fatal(got, err)
	}
}

//dist:nodes=2 ports=a
func TestTwo(t *testing.T) {
	c := dist.Require(t)
	if c.Size() != 2 {
		t.Errorf("%d nodes", c.Size())
	}
}

//dist:nodes=2
func TestParallelA(t *testing.T) { parallel(t) }

//dist:nodes=2
func TestParallelB(t *testing.T) { parallel(t) }

//dist:nodes=2
func TestParallelC(t *testing.T) { parallel(t) }

var holders atomic.Int32

func parallel(t *testing.T) {
	t.Parallel()
	c := dist.Require(t)
	holders.Add(1)
	defer holders.Add(-1)
	pids, err := dist.CallAll(t.Context(), c, pid, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range c.Nodes() {
		if n.PID() != pids[i] {
			t.Errorf("%s is process %d, and says %d", n.Name(), n.PID(), pids[i])
		}
	}
}

//dist:nodes=2
func TestFailing(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(1), say, "the reason is in the log"); err != nil {
		t.Fatal(err)
	}
	t.Fatal("as intended")
}

//dist:nodes=1
func TestNodeLeaves(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), exitSoon, 5); err != nil {
		t.Fatal(err)
	}
	for c.Node(0).Running() {
		time.Sleep(time.Millisecond)
	}
}

//dist:nodes=2
func TestNodeLeavesAndRestarts(t *testing.T) {
	c := dist.Require(t)
	for i, n := range c.Nodes() {
		if _, err := dist.Call(t.Context(), n, exitSoon, 5+i); err != nil {
			t.Fatal(err)
		}
		for n.Running() {
			time.Sleep(time.Millisecond)
		}
		if i == 1 { // of this one the test knows
			if _, err := dist.Call(t.Context(), n, exitSoon, 0); err == nil {
				t.Error("a node that has left answers")
			}
		}
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Restart(t.Context()); err != nil { // nothing new
			t.Fatal(err)
		}
	}
}

//dist:nodes=1
func TestNodeLeavesAndIsMissed(t *testing.T) {
	n := dist.Require(t).Node(0)
	if _, err := dist.Call(t.Context(), n, exitSoon, 5); err != nil {
		t.Fatal(err)
	}
	for n.Running() {
		time.Sleep(time.Millisecond)
	}
	if _, err := dist.Call(t.Context(), n, exitSoon, 0); err == nil {
		t.Error("a node that has left answers")
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestKilledBeforeRestart: the node has gone, or is about to, when it is stopped.
//
//dist:nodes=1
func TestKilledBeforeRestart(t *testing.T) {
	n := dist.Require(t).Node(0)
	p, err := os.FindProcess(n.PID())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

//dist:nodes=1
func TestKilledAtTheEnd(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), killSoon, struct{}{}); err != nil {
		t.Fatal(err)
	}
}

//dist:nodes=1
func TestCleanupPanics(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), cleanupPanics, struct{}{}); err != nil {
		t.Fatal(err)
	}
}

//dist:nodes=1
func TestCleanupExits(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), cleanupExits, struct{}{}); err != nil {
		t.Fatal(err)
	}
}

//dist:nodes=1
func TestRace(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), race, struct{}{}); err != nil {
		t.Fatal(err)
	}
}

//dist:nodes=1
func TestRaceThenKill(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), race, struct{}{}); err != nil {
		t.Fatal(err)
	}
	c.Node(0).Kill()
}

// TestHang tells which processes there are, and then hangs.
//
//dist:nodes=3
func TestHang(t *testing.T) {
	c := dist.Require(t)
	all := []int{}
	for i, n := range c.Nodes() {
		child, err := dist.Call(t.Context(), n, spawn, i == 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n.PID(), child)
	}
	c.Node(1).Pause()
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("SUITE_PIDS")+".tmp", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(os.Getenv("SUITE_PIDS")+".tmp", os.Getenv("SUITE_PIDS")); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("SUITE_PANIC") != "" {
		panic("the test panics")
	}
	<-time.After(time.Hour)
}

func block(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, waitForever() }

func waitForever() error { <-make(chan error); return nil }

// deafen keeps the only processor busy, in a process that is never interrupted
// if GODEBUG says so.
func deafen(ctx context.Context, _ struct{}) (struct{}, error) {
	runtime.GOMAXPROCS(1)
	for {
	}
}

// TestStuck waits for all of its nodes, none of which is ever going to answer.
//
//dist:nodes=4
func TestStuck(t *testing.T) {
	c := dist.Require(t)
	go dist.Call(t.Context(), c.Node(0), block, struct{}{})
	if os.Getenv("SUITE_DEAF") != "" {
		go dist.Call(t.Context(), c.Node(1), deafen, struct{}{})
	}
	c.Node(2).Pause()
	dist.Call(t.Context(), c.Node(2), block, struct{}{})
}

func cleanupBlocks(ctx context.Context, _ struct{}) (struct{}, error) {
	dist.Self(ctx).Cleanup(func() { waitForever() })
	return struct{}{}, nil
}

//dist:nodes=2
func TestCleanupBlocks(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(1), cleanupBlocks, struct{}{}); err != nil {
		t.Fatal(err)
	}
}

// meet has all other nodes connected to the first, which then dies.
func meet(ctx context.Context, _ struct{}) (struct{}, error) {
	self := dist.Self(ctx)
	if self.Index() > 0 {
		var conn net.Conn
		var err error
		for { // until it listens
			if conn, err = net.Dial("tcp", self.Addrs("a")[0]); err == nil || ctx.Err() != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			return struct{}{}, err
		}
		_, err = conn.Read(make([]byte, 1))
		return struct{}{}, err
	}
	ln, err := self.Listen("a")
	if err != nil {
		return struct{}{}, err
	}
	var conns []net.Conn
	for range self.Size() - 1 {
		conn, err := ln.Accept()
		if err != nil {
			return struct{}{}, err
		}
		conns = append(conns, conn)
	}
	go panic("the first of them")
	select {}
}

//dist:nodes=3 ports=a
func TestOneCrash(t *testing.T) {
	c := dist.Require(t)
	_, err := dist.CallAll(t.Context(), c, meet, struct{}{})
	if lost := (*dist.LostError)(nil); !errors.As(err, &lost) || lost.Node != "node-1" {
		t.Errorf("not lost: %v", err)
	}
	t.Error(err)
}

//dist:nodes=2 min=1
func TestAgain(t *testing.T) {
	c := dist.Require(t)
	t.Run("sub", func(t *testing.T) {
		if d := dist.Require(t, dist.Nodes(2)); d.ID() != c.ID() {
			t.Error("a subtest got a cluster of its own")
		}
	})
	t.Run("conflict", func(t *testing.T) {
		dist.Require(t, dist.Nodes(1))
	})
}

// These are run with a limit of two nodes.

//dist:nodes=3
func TestTooLarge(t *testing.T) { dist.Require(t) }

//dist:nodes=6 min=2
func TestReduced(t *testing.T) {
	if c := dist.Require(t); c.Size() != 2 {
		t.Errorf("%d nodes", c.Size())
	}
}

// Of four nodes, three start.
//
//dist:nodes=4 min=2
func TestPartOfFour(t *testing.T) {
	if c := dist.Require(t); c.Size() != 3 {
		t.Errorf("%d nodes", c.Size())
	}
}

//dist:nodes=3 optional
func TestOptional(t *testing.T) { dist.Require(t) }

//dist:nodes=1
func TestBeforeParallel(t *testing.T) {
	dist.Require(t)
	t.Parallel()
}

//dist:nodes=1
func TestMistakes(t *testing.T) {
	c := dist.Require(t)
	n := c.Node(0)
	x := 1
	calls := map[string]func() error{
		"closure": func() error {
			_, err := dist.Call(t.Context(), n, func(context.Context, int) (int, error) { return x, nil }, 1)
			return err
		},
		"method value": func() error {
			_, err := dist.Call(t.Context(), n, thing{}.method, 1)
			return err
		},
		"unregistered": func() error {
			// A helper package's function, through a variable that nobody follows.
			_, err := dist.Call(t.Context(), n, Hidden, 1)
			return err
		},
		"channel": func() error {
			_, err := dist.Call(t.Context(), n, takesChannel, make(chan int))
			return err
		},
	}
	for what, call := range calls {
		err := call()
		if err == nil {
			t.Errorf("%s: no error", what)
			continue
		}
		line, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Printf("%s: %s\n", what, line)
	}
	c.Addrs("nowhere")
	n.Addr("nowhere")
}

type thing struct{}

func (thing) method(context.Context, int) (int, error) { return 0, nil }

func takesChannel(context.Context, chan int) (int, error) { return 0, nil }

//dist:nodes=2
func FuzzSeeds(f *testing.F) {
	c := dist.Require(f)
	f.Add(1)
	f.Add(2)
	f.Fuzz(func(t *testing.T, n int) {
		if _, err := dist.Call(t.Context(), c.Node(0), collatz, n); err != nil {
			t.Fatal(err)
		}
	})
}

//dist:nodes=1
func FuzzInside(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) { dist.Require(t) })
}

//dist:nodes=2
func BenchmarkCall(b *testing.B) {
	c := dist.Require(b)
	for b.Loop() {
		if _, err := dist.Call(b.Context(), c.Node(0), collatz, 1); err != nil {
			b.Fatal(err)
		}
	}
}

//dist:nodes=1 ports=a
func TestHostileDirectory(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.Call(t.Context(), c.Node(0), listen, struct{}{}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", c.Node(0).Addr("a"))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func listen(ctx context.Context, _ struct{}) (struct{}, error) {
	_, err := dist.Self(ctx).Listen("a")
	return struct{}{}, err
}

// TestNetworkMistakes does what cannot be done to a network, each thing for a
// reason that the test's log has.
//
//dist:nodes=2 ports=a
func TestNetworkMistakes(t *testing.T) {
	c := dist.Require(t)
	a, b := c.Node(0), c.Node(1)
	for what, err := range map[string]error{
		"one group":     c.Partition(c.Nodes()),
		"no groups":     c.Partition(),
		"twice":         c.Partition([]*dist.Node{a}, []*dist.Node{a, b}),
		"nil":           c.Isolate(nil),
		"itself":        c.Link(a, a).Cut(),
		"loss":          c.Link(a, b).Loss(0.5),
		"more than all": c.Link(a, b).Loss(1.5),
		"negative":      c.Link(a, b).Delay(-1, 0),
		"no bandwidth":  c.Link(a, b).Both().Bandwidth(-1),
		"link to nil":   c.Link(a, nil).Both().Cut(),
		"heal yourself": c.Link(b, b).Heal(),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func listenAt(ctx context.Context, _ struct{}) (string, error) {
	s := dist.Self(ctx)
	l, err := s.Listen("a")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.Cleanup(func() { c.Close() })
		}
	}()
	return s.ListenAddr("a"), nil
}

func dialTo(ctx context.Context, addr string) (struct{}, error) {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		dist.Self(ctx).Cleanup(func() { c.Close() })
	}
	return struct{}{}, err
}

// TestNetworkPast has a node dial what another one binds.
//
//dist:nodes=2 ports=a
func TestNetworkPast(t *testing.T) {
	c := dist.Require(t)
	addr, err := dist.Call(t.Context(), c.Node(1), listenAt, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dist.Call(t.Context(), c.Node(0), dialTo, addr); err != nil {
		t.Fatal(err)
	}
	if err := c.Isolate(c.Node(0)); err == nil {
		t.Error("no error")
	}
}

// TestNetworkForeign isolates a node of another cluster.
//
//dist:nodes=2 ports=a
func TestNetworkForeign(t *testing.T) {
	nodes := make(chan *dist.Node, 1)
	t.Run("one", func(t *testing.T) { nodes <- dist.Require(t).Node(0) })
	t.Run("two", func(t *testing.T) { dist.Require(t).Isolate(<-nodes) })
}

// TestNetworkNoPorts has nothing to part.
//
//dist:nodes=2
func TestNetworkNoPorts(t *testing.T) {
	c := dist.Require(t)
	c.Isolate(c.Node(0))
}

// processes are those that this one has started of its own executable.
func processes(t *testing.T) (pids []int) {
	t.Helper()
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // ended
		}
		var parent int
		fmt.Sscanf(string(stat)[strings.LastIndexByte(string(stat), ')')+1:], " %s %d", new(string), &parent)
		exe, err := os.Stat(filepath.Join(filepath.Dir(name), "exe"))
		if err != nil || parent != os.Getpid() || !os.SameFile(exe, self) {
			continue
		}
		var pid int
		fmt.Sscanf(name, "/proc/%d/", &pid)
		pids = append(pids, pid)
	}
	return pids
}

// TestNetworkSpares has as many processes as its nodes take, and none that are of
// no use to it: the switch of networks is one more.
//
//dist:nodes=3 ports=a
func TestNetworkSpares(t *testing.T) {
	t.Logf("%d processes with no cluster", len(processes(t)))
	c := dist.Require(t)
	t.Logf("%d processes for %d nodes", len(processes(t)), c.Size())
	if err := c.Isolate(c.Node(0)); err != nil {
		t.Error(err)
	}
	t.Logf("%d processes in the end", len(processes(t)))
}

// TestNetworkGone isolates a node when the process that has the networks is gone.
//
//dist:nodes=2 ports=a
func TestNetworkGone(t *testing.T) {
	c := dist.Require(t)
	for _, pid := range processes(t) {
		if pid != c.Node(0).PID() && pid != c.Node(1).PID() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if err := c.Isolate(c.Node(0)); err == nil {
		t.Error("no error")
	}
}

// askOf is the answer to a line.
func askOf(ctx context.Context, addr string) (string, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	fmt.Fprintln(c, "hello")
	return bufio.NewReader(c).ReadString('\n')
}

// TestNetworkHost has nodes reach what this machine has on its loopback
// interface, and be told where there is nothing.
//
//dist:nodes=2 ports=a
func TestNetworkHost(t *testing.T) {
	c := dist.Require(t)
	if err := c.Isolate(c.Node(0)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, n := range c.Nodes() {
			there := os.Getenv("HOST_THERE")
			_, port, _ := net.SplitHostPort(there)
			for _, addr := range []string{there, "localhost:" + port} {
				if got, err := dist.Call(t.Context(), n, askOf, addr); err != nil || got != "the host's hello\n" {
					t.Errorf("%s: %q, %v", n.Name(), got, err)
				}
			}
			if _, err := dist.Call(t.Context(), n, askOf, os.Getenv("HOST_NOBODY")); err == nil || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("%s, where nobody listens: %v", n.Name(), err)
			}
		}
		if err := c.Node(0).Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// parter hides from distgen that a test parts its network.
type parter interface {
	Isolate(*dist.Node) error
	Heal() error
}

//dist:nodes=2 ports=a
func TestNetworkUnseen(t *testing.T) {
	c := dist.Require(t)
	if err := parter(c).Isolate(c.Node(0)); err == nil {
		t.Error("no error")
	}
}

// TestNetworkSeen says by name what it hides.
//
//dist:nodes=2 ports=a
func TestNetworkSeen(t *testing.T) {
	c := dist.Require(t)
	_ = c.Isolate
	if err := parter(c).Isolate(c.Node(0)); err != nil {
		t.Error(err)
	}
	if err := parter(c).Heal(); err != nil {
		t.Error(err)
	}
}
