package dist_test

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// What runs on nodes.

type identity struct {
	Name        string
	Index, Size int
	Dir         string
	PID         int
	Listen      string
	Addrs       []string
	Names       []string
	Environ     string
	WorkingDir  string
}

func identify(ctx context.Context, variable string) (identity, error) {
	s := dist.Self(ctx)
	wd, err := os.Getwd()
	return identity{
		Name: s.Name(), Index: s.Index(), Size: s.Size(), Dir: s.Dir(), PID: os.Getpid(),
		Listen: s.ListenAddr("tcp"), Addrs: s.Addrs("tcp"), Names: s.Names(), Environ: os.Getenv(variable), WorkingDir: wd,
	}, err
}

func nameOf(ctx context.Context, _ struct{}) (string, error) { return dist.Self(ctx).Name(), nil }

func echo(_ context.Context, b []byte) ([]byte, error) { return b, nil }

var (
	errNotLeader    = errors.New("not the leader")
	errUnregistered = errors.New("not the leader") // of the same text
)

func init() { dist.RegisterErrors(errNotLeader) }

func fail(ctx context.Context, how string) (struct{}, error) {
	switch how {
	case "error":
		return struct{}{}, errors.New("no such key")
	case "eof":
		return struct{}{}, fmt.Errorf("reading: %w", io.EOF)
	case "missing":
		_, err := os.ReadFile(filepath.Join(dist.Self(ctx).Dir(), "missing"))
		return struct{}{}, err
	case "refused":
		_, err := net.Dial("tcp", dist.Self(ctx).Addr("tcp")) // where nobody listens
		return struct{}{}, err
	case "registered":
		return struct{}{}, fmt.Errorf("ask node-2: %w", errNotLeader)
	case "unregistered":
		return struct{}{}, errUnregistered
	case "panic":
		panic("deep trouble")
	case "exit":
		fmt.Println("my last words")
		os.Exit(4)
	case "depth":
		go deep(100)
		<-ctx.Done()
	case "second":
		if dist.Self(ctx).Index() == 1 {
			return struct{}{}, errors.New("only the second fails")
		}
	case "port":
		dist.Self(ctx).Addr("other")
	}
	return struct{}{}, nil
}

// deep panics n calls below.
func deep(n int) int {
	if n == 0 {
		panic("in the depth")
	}
	return 1 + deep(n-1)
}

var ended = make(chan error, 1)

func block(ctx context.Context, _ struct{}) (struct{}, error) {
	<-ctx.Done()
	ended <- context.Cause(ctx)
	return struct{}{}, ctx.Err()
}

func howBlockEnded(ctx context.Context, _ struct{}) (string, error) {
	select {
	case err := <-ended:
		return err.Error(), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func write(ctx context.Context, text string) (struct{}, error) {
	return struct{}{}, os.WriteFile(filepath.Join(dist.Self(ctx).Dir(), "data"), []byte(text), 0o600)
}

func read(ctx context.Context, _ struct{}) (string, error) {
	b, err := os.ReadFile(filepath.Join(dist.Self(ctx).Dir(), "data"))
	return string(b), err
}

// atEnd has the order of a lease's end written to a file.
func atEnd(ctx context.Context, file string) (struct{}, error) {
	s := dist.Self(ctx)
	note := func(text string) {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			fmt.Fprint(f, text)
			f.Close()
		}
	}
	s.Cleanup(func() { note("second") })
	s.Cleanup(func() {
		if s.Context().Err() != nil {
			note("context ")
		}
		note("first ")
	})
	return struct{}{}, nil
}

func serveName(ctx context.Context, _ struct{}) (struct{}, error) {
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
			fmt.Fprint(c, s.Name())
			c.Close()
		}
	}()
	return struct{}{}, nil
}

func dialAll(ctx context.Context, _ struct{}) ([]string, error) {
	var names []string
	for _, addr := range dist.Self(ctx).Addrs("tcp") {
		name, err := readFrom(addr)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func readFrom(addr string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

func leak(ctx context.Context, what string) (struct{}, error) {
	switch what {
	case "goroutine":
		go func() { <-time.After(time.Hour) }()
	case "listener":
		_, err := net.Listen("tcp", "127.0.0.1:0")
		return struct{}{}, err
	case "child":
		return struct{}{}, exec.Command("sleep", "3600").Start()
	case "nothing":
		_, err := dist.Self(ctx).Listen("tcp")
		return struct{}{}, err
	}
	return struct{}{}, nil
}

func zero[T any](context.Context, struct{}) (string, error) {
	var v T
	return fmt.Sprintf("%T", v), nil
}

func registered(_ context.Context, n int) (int, error) { return n + 1, nil }

func init() { dist.Register(registered) }

// nested runs a command on a node: what a node starts must be free of the
// node's own ties.
func nested(_ context.Context, command []string) (string, error) {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	return string(out), err
}

// The tests.

//dist:nodes=3 ports=tcp,udp
func TestSelf(t *testing.T) {
	t.Setenv("DIST_TEST_VARIABLE", "seen") // after spares were started
	c := dist.Require(t)
	ids, err := dist.CallAll(t.Context(), c, identify, "DIST_TEST_VARIABLE")
	if err != nil {
		t.Fatal(err)
	}
	wd, _ := os.Getwd()
	for i, id := range ids {
		n := c.Node(i)
		want := identity{
			Name: fmt.Sprintf("node-%d", i+1), Index: i, Size: 3, Dir: n.Dir(), PID: n.PID(),
			Listen: n.Addr("tcp"), Addrs: c.Addrs("tcp"), Names: []string{"node-1", "node-2", "node-3"}, Environ: "seen", WorkingDir: wd,
		}
		if fmt.Sprint(id) != fmt.Sprint(want) || n.Name() != want.Name || n.Index() != i {
			t.Errorf("node %d is\n%+v, want\n%+v", i, id, want)
		}
		if n.Addr("tcp") == n.Addr("udp") || n.PID() == os.Getpid() {
			t.Errorf("node %d: %s, %s, process %d", i, n.Addr("tcp"), n.Addr("udp"), n.PID())
		}
		if entries, err := os.ReadDir(n.Dir()); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", n.Dir(), entries, err)
		}
	}
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Error(err)
	}
}

//dist:nodes=2 ports=tcp
func TestOutcomes(t *testing.T) {
	c := dist.Require(t)
	n := c.Node(0)
	call := func(how string) error {
		_, err := dist.Call(t.Context(), n, fail, how)
		return err
	}
	var remote *dist.RemoteError
	if err := call("none"); err != nil {
		t.Error(err)
	}
	if err := call("error"); !errors.As(err, &remote) || remote.Text != "no such key" || !strings.Contains(err.Error(), "dist_test.fail on node-1: no such key") {
		t.Errorf("returned error: %v", err)
	}
	if err := call("eof"); !errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		t.Errorf("io.EOF: %v", err)
	}
	if err := call("missing"); !errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || !errors.As(err, &remote) {
		t.Errorf("os.ErrNotExist: %v", err)
	}
	if err := call("refused"); runtime.GOOS != "windows" && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connection refused: %v", err)
	}
	if err := call("registered"); !errors.Is(err, errNotLeader) || errors.Is(err, errUnregistered) || !errors.As(err, &remote) || remote.Text != "ask node-2: not the leader" {
		t.Errorf("registered error: %v", err)
	}
	if err := call("unregistered"); err == nil || errors.Is(err, errNotLeader) || errors.Is(err, errUnregistered) {
		t.Errorf("error that is not registered: %v", err)
	}
	list := []*dist.Node{c.Node(1), c.Node(0)}
	if got, err := dist.CallNodes(t.Context(), list, nameOf, struct{}{}); err != nil || strings.Join(got, " ") != "node-2 node-1" {
		t.Errorf("CallNodes: %q, %v", got, err)
	}
	if got, err := dist.CallNodes(t.Context(), list[:1], fail, "second"); len(got) != 1 || err == nil || !strings.Contains(err.Error(), "fail on node-2: only the second fails") {
		t.Errorf("CallNodes that fails: %v, %v", got, err)
	}
	if got, err := dist.CallNodes(t.Context(), nil, nameOf, struct{}{}); len(got) != 0 || err != nil {
		t.Errorf("CallNodes of none: %q, %v", got, err)
	}
	if got, err := dist.CallNodes(t.Context(), []*dist.Node{list[0], nil}, nameOf, struct{}{}); got != nil || err == nil || !strings.Contains(err.Error(), "node 1 of the list is nil") {
		t.Errorf("CallNodes of a nil node: %q, %v", got, err)
	}
	if _, err := dist.CallAll(t.Context(), c, fail, "registered"); !errors.Is(err, errNotLeader) {
		t.Errorf("registered error of all nodes: %v", err)
	}
	var p *dist.PanicError
	if err := call("panic"); !errors.As(err, &p) || p.Value != "deep trouble" || !strings.Contains(p.Stack, "dist_test.fail") {
		t.Errorf("panic: %v", err)
	}
	if err := call("port"); !errors.As(err, &p) || !strings.Contains(p.Value, `"other"`) || !strings.Contains(p.Value, "tcp") {
		t.Errorf("unknown port on a node: %v", err)
	}
	_, err := dist.CallAll(t.Context(), c, fail, "second")
	if err == nil || !strings.Contains(err.Error(), "node-2") || strings.Contains(err.Error(), "node-1") {
		t.Errorf("CallAll: %v", err)
	}
	var lost *dist.LostError
	if err := call("exit"); !errors.As(err, &lost) || lost.Exit.Code != 4 || !strings.Contains(strings.Join(lost.Log, "\n"), "my last words") || !strings.Contains(err.Error(), "my last words") {
		t.Errorf("exit: %v", err)
	}
	if n.Running() {
		t.Error("a node that exited is running")
	}
	if err := call("none"); !errors.As(err, &lost) {
		t.Errorf("call on a node that is gone: %v", err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := call("depth"); !errors.As(err, &lost) || lost.Diagnosis == nil || lost.Diagnosis.Code != "DIST-NODE-PANIC" ||
		!strings.Contains(err.Error(), "in the depth") || strings.Contains(err.Error(), "my last words") {
		t.Errorf("panic that is farther from the end of the log than is shown of it: %v", err)
	}
}

//dist:nodes=1
func TestContextEndsOnTheNode(t *testing.T) {
	n := dist.Require(t).Node(0)
	for _, want := range []error{context.DeadlineExceeded, context.Canceled} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if want == context.Canceled {
			ctx, cancel = context.WithCancel(t.Context())
			cancelled := cancel
			time.AfterFunc(20*time.Millisecond, cancelled)
		}
		if _, err := dist.Call(ctx, n, block, struct{}{}); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		cancel()
		how, err := dist.Call(t.Context(), n, howBlockEnded, struct{}{})
		if err != nil || how != want.Error() && how != context.Canceled.Error() {
			t.Errorf("on the node: %q, %v; want %v", how, err, want)
		}
	}
}

//dist:nodes=1
func TestKillDuringCall(t *testing.T) {
	n := dist.Require(t).Node(0)
	result := make(chan error)
	go func() {
		_, err := dist.Call(t.Context(), n, block, struct{}{})
		result <- err
	}()
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	var lost *dist.LostError
	if err := <-result; !errors.As(err, &lost) || lost.Reason != "killed by the test" {
		t.Errorf("got %v", err)
	}
}

//dist:nodes=1
func TestLargeAndMany(t *testing.T) {
	n := dist.Require(t).Node(0)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte(i)}, i*300_000)
			got, err := dist.Call(t.Context(), n, echo, want)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back as %d, %v", len(want), len(got), err)
			}
		})
	}
	wg.Wait()
}

//dist:nodes=2 ports=tcp
func TestRestartKeepsIdentity(t *testing.T) {
	c := dist.Require(t)
	n := c.Node(1)
	for _, how := range []string{"running", "stopped", "killed", "paused"} {
		if _, err := dist.Call(t.Context(), n, write, how); err != nil {
			t.Fatal(err)
		}
		if _, err := dist.Call(t.Context(), n, serveName, struct{}{}); err != nil {
			t.Fatal(how, err)
		}
		addr, dir, pid := n.Addr("tcp"), n.Dir(), n.PID()
		var err error
		switch how {
		case "stopped":
			err = n.Stop(t.Context())
		case "killed":
			err = n.Kill()
		case "paused":
			err = n.Pause()
		}
		if err != nil {
			t.Fatal(how, err)
		}
		if running := how == "running" || how == "paused"; n.Running() != running {
			t.Errorf("%s: Running() = %v", how, !running)
		}
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(how, err)
		}
		if n.Addr("tcp") != addr || n.Dir() != dir || n.PID() == pid {
			t.Errorf("%s: %s in %s is now %s in %s; process %d, now %d", how, addr, dir, n.Addr("tcp"), n.Dir(), pid, n.PID())
		}
		if got, err := dist.Call(t.Context(), n, read, struct{}{}); err != nil || got != how {
			t.Errorf("%s: Dir has %q, %v", how, got, err)
		}
	}
	if _, err := dist.CallAll(t.Context(), c, serveName, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if names, err := dist.Call(t.Context(), n, dialAll, struct{}{}); err != nil || fmt.Sprint(names) != "[node-1 node-2]" {
		t.Errorf("%q, %v", names, err)
	}
	if name, err := readFrom(c.Node(0).Addr("tcp")); err != nil || name != "node-1" {
		t.Errorf("from the test: %q, %v", name, err)
	}
}

// lingers has the node end when there is a file.
func lingers(ctx context.Context, dir string) (struct{}, error) {
	dist.Self(ctx).Cleanup(func() {
		os.WriteFile(filepath.Join(dir, "ends"), nil, 0o600)
		for {
			if _, err := os.Stat(filepath.Join(dir, "may end")); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	return struct{}{}, nil
}

// A node that ends as its time is up has ended: where this process was stopped
// meanwhile, say, its time is up before anybody could look.
//
//dist:nodes=1
func TestEndsAtTheLastMoment(t *testing.T) {
	n := dist.Require(t).Node(0)
	for range 5 {
		dir := t.TempDir()
		if _, err := dist.Call(t.Context(), n, lingers, dir); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- n.Stop(ctx) }()
		for {
			if _, err := os.Stat(filepath.Join(dir, "ends")); err == nil {
				break
			}
			if time.Sleep(time.Millisecond); t.Context().Err() != nil {
				t.Fatal("it does not end")
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "may end"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

//dist:nodes=2 ports=tcp
func TestAddressInUse(t *testing.T) {
	c := dist.Require(t)
	// The test process takes the address of a node, as a stranger might.
	l, err := net.Listen("tcp", c.Node(0).Addr("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = dist.CallAll(t.Context(), c, serveName, struct{}{})
	if err == nil || !strings.Contains(err.Error(), "DIST-ADDR-IN-USE") || strings.Contains(err.Error(), "node-2") {
		t.Errorf("got %v", err)
	}
	if runtime.GOOS == "linux" && !strings.Contains(fmt.Sprint(err), fmt.Sprint(os.Getpid())) {
		t.Errorf("it does not say that process %d has the address: %v", os.Getpid(), err)
	}
}

//dist:nodes=2
func TestPaused(t *testing.T) {
	c := dist.Require(t)
	if err := c.Node(1).Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := c.WaitHealthy(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "node-2 is paused") || strings.Contains(err.Error(), "node-1:") {
		t.Errorf("WaitHealthy: %v", err)
	}
	if err := c.Node(1).Resume(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Error(err)
	}
}

//dist:nodes=1
func TestEndOfLease(t *testing.T) {
	dir := t.TempDir()
	var ended *dist.Cluster
	for _, how := range []string{"end", "stop"} {
		file := filepath.Join(dir, how)
		var nodeDir string
		t.Run(how, func(t *testing.T) {
			c := dist.Require(t)
			ended = c
			nodeDir = c.Node(0).Dir()
			if _, err := dist.Call(t.Context(), c.Node(0), atEnd, file); err != nil {
				t.Fatal(err)
			}
			if how == "stop" {
				c.Node(0).Stop(t.Context())
			}
		})
		if b, err := os.ReadFile(file); err != nil || string(b) != "context first second" {
			t.Errorf("%s: %q, %v", how, b, err)
		}
		if _, err := os.Stat(nodeDir); err == nil {
			t.Errorf("%s: %s is still there", how, nodeDir)
		}
	}
	if _, err := dist.Call(t.Context(), ended.Node(0), read, struct{}{}); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("call after the end: %v", err)
	}
	// Its test has ended as well: this must not fail another one, nor end a
	// process that may be in other hands.
	for what, err := range map[string]error{
		"Kill": ended.Node(0).Kill(), "Pause": ended.Node(0).Pause(), "Resume": ended.Node(0).Resume(),
		"Stop": ended.Node(0).Stop(t.Context()), "Restart": ended.Node(0).Restart(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), "has ended") {
			t.Errorf("%s after the end: %v", what, err)
		}
	}
}

//dist:nodes=2 ports=tcp reuse
func TestReuse(t *testing.T) {
	pids := func(c *dist.Cluster) (p []int) {
		for _, n := range c.Nodes() {
			p = append(p, n.PID())
		}
		return p
	}
	var before []int
	cover := testing.CoverMode() != ""
	for i, what := range []string{"nothing", "nothing", "goroutine", "listener", "child", "nothing"} {
		t.Run(what, func(t *testing.T) {
			c := dist.Require(t)
			if _, err := dist.Call(t.Context(), c.Node(0), read, struct{}{}); err == nil {
				t.Error("the last test's data is there")
			}
			if _, err := dist.CallAll(t.Context(), c, write, "data"); err != nil {
				t.Error(err)
			}
			if _, err := dist.CallAll(t.Context(), c, leak, what); err != nil {
				t.Error(err)
			}
			// The first finds none, and dirty ones are not used again.
			want := (i == 1 || i == 2) && !cover
			if c.Reused() != want {
				t.Errorf("Reused() = %v, want %v; processes %v, before %v", c.Reused(), want, pids(c), before)
			}
			for _, p := range pids(c) {
				for _, q := range before {
					if (p == q) != want && p == q {
						t.Errorf("process %d serves again", p)
					}
				}
			}
			before = pids(c)
		})
	}
}

//dist:nodes=1
func TestTableOfFunctions(t *testing.T) {
	n := dist.Require(t).Node(0)
	if got, err := dist.Call(t.Context(), n, zero[int], struct{}{}); err != nil || got != "int" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := dist.Call(t.Context(), n, zero[map[string]bool], struct{}{}); err != nil || got != "map[string]bool" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := dist.Call(t.Context(), n, registered, 1); err != nil || got != 2 {
		t.Errorf("%d, %v", got, err)
	}
}

//dist:nodes=1
func TestNodesRunCommands(t *testing.T) {
	n := dist.Require(t).Node(0)
	// This very binary, as helper processes are often made: a distributed test, on a
	// node.
	out, err := dist.Call(t.Context(), n, nested, []string{os.Args[0], "-test.run=^TestKillDuringCall$", "-test.v"})
	if err != nil || !strings.Contains(out, "--- PASS: TestKillDuringCall") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = dist.Call(t.Context(), n, nested, []string{os.Args[0], "-test.run=^TestOptions$", "-test.v"})
	if err != nil || !strings.Contains(out, "--- PASS: TestOptions") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSelfOutsideNode(t *testing.T) {
	defer func() {
		if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "dist.Self") {
			t.Errorf("Self says %v", v)
		}
	}()
	dist.Self(t.Context())
}

//dist:nodes=2
func BenchmarkCall(b *testing.B) {
	n := dist.Require(b).Node(0)
	arg := make([]byte, 64)
	for b.Loop() {
		if _, err := dist.Call(b.Context(), n, echo, arg); err != nil {
			b.Fatal(err)
		}
	}
}
