//go:build linux

package keeper

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/usersocket"
)

func init() {
	roles["owner"], roles["client"], roles["stranger"] = runOwner, runClient, runStranger
}

func die(v ...any) {
	fmt.Fprintln(os.Stderr, v...)
	os.Exit(1)
}

// An ownerTask is what an owner process reads, as JSON, before it does
// anything. The end of its standard input ends it.
type ownerTask struct {
	Options Options
	Up      []Ask
}

// runOwner is an owner as dist up is one. It says where it is in the registry
// once its clusters are up.
func runOwner() {
	in := json.NewDecoder(os.Stdin)
	var task ownerTask
	if err := in.Decode(&task); err != nil {
		die(err)
	}
	e := process.New()
	k := New(e)
	s, err := Listen(k, task.Options)
	if err != nil {
		die(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	go func() {
		for _, a := range task.Up {
			if _, err := k.Up(ctx, a); err != nil && ctx.Err() == nil {
				die(err)
			}
		}
		fmt.Println(s.File())
	}()
	if _, err := s.Serve(ctx); err != nil {
		die(err)
	}
	if err := e.Close(); err != nil {
		die(err)
	}
	os.Exit(0)
}

// A clientTask is what a client process reads.
type clientTask struct {
	Run    string // see Finder
	Ask    Ask
	Leases int
	Hold   bool // the first lease, for good
	Seed   uint64
}

// runClient leases as a test binary does. Whatever happens to owners and other
// clients meanwhile, all that may happen to it is that there is no cluster.
func runClient() {
	var task clientTask
	if err := json.NewDecoder(os.Stdin).Decode(&task); err != nil {
		die(err)
	}
	r := rand.New(rand.NewPCG(task.Seed, 0))
	f := &Finder{Run: task.Run}
	ctx := context.Background()
	for i := range task.Leases {
		a := task.Ask
		a.Who = fmt.Sprintf("lease %d of %d", i, os.Getpid())
		a.Shared = a.Shared || r.IntN(2) == 0
		found, err := f.Find(ctx, a)
		if err != nil {
			die("find:", diagnosed(err))
		}
		if found.Owner == nil {
			fmt.Println("gone")
			break
		}
		l, err := found.Owner.Lease(ctx, found.Ask)
		if code(err) == diagnostics.ClusterGone {
			fmt.Println("gone")
			break
		}
		if err != nil {
			die("lease:", diagnosed(err))
		}
		fmt.Println("leased", l.Info().ID)
		if task.Hold {
			<-f.clients[found.Owner.(*Client).record.File].Done()
			_, err := l.State(ctx, 0)
			fmt.Println("lost", code(err))
			break
		}
		if err := use(ctx, r, l, a.Shared); code(err) == diagnostics.ClusterGone {
			fmt.Println("gone")
			break
		} else if err != nil {
			select {
			case <-found.Owner.(*Client).Done(): // killed with its nodes, which is how it was noticed
				fmt.Println("gone")
				os.Exit(0)
			case <-time.After(patience):
			}
			die("use:", diagnosed(err))
		}
		if _, err := l.Release(ctx); err != nil && code(err) != diagnostics.ClusterGone {
			die("release:", diagnosed(err))
		}
	}
	fmt.Println("done")
	os.Exit(0)
}

// use finds out whether a lease is what it is to be.
func use(ctx context.Context, r *rand.Rand, l Lease, shared bool) error {
	errs, err := l.Health(ctx)
	if err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	n := l.Info().Nodes[r.IntN(len(l.Info().Nodes))]
	got, err := talk(n, "get")
	if err != nil || shared {
		return err
	}
	if got != "" {
		return fmt.Errorf("the data are not fresh: %q", got)
	}
	self := strconv.Itoa(os.Getpid())
	if _, err := talk(n, "put "+self); err != nil {
		return err
	}
	if r.IntN(2) == 0 {
		for i := range l.Info().Nodes {
			if _, err := l.Act(ctx, i, []Action{Kill, Pause, Restart, Stop}[r.IntN(4)]); err != nil {
				return err
			}
		}
		return nil
	}
	got, err = talk(n, "get")
	if err == nil && got != self {
		err = fmt.Errorf("somebody else has the cluster: %q", got)
	}
	return err
}

// runStranger is a process of another user, which knows all that can be known.
func runStranger() {
	dir, file, socket, secret := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	if _, err := os.ReadDir(dir); err == nil {
		fmt.Println("can list the registry")
	}
	if _, err := os.ReadFile(file); err == nil {
		fmt.Println("can read the registry")
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Println("cannot connect:", err)
		os.Exit(0)
	}
	c.SetDeadline(time.Now().Add(patience))
	var w welcome
	err = writeHello(c, hello{Protocol: protocol, Secret: secret})
	if err == nil {
		err = readHello(c, &w)
	}
	fmt.Println("greeted:", err)
	os.Exit(0)
}

// A child is this binary in another role.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan string // of its output
	stderr bytes.Buffer
	ended  chan struct{}
	err    error
}

func startChild(t *testing.T, role string, task any) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(self), lines: make(chan string, 1000), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), envRole+"="+role)
	c.cmd.Stderr = &c.stderr
	c.in, err = c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
		close(c.lines)
		c.err = c.cmd.Wait()
	}()
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		<-c.ended
	})
	if err := json.NewEncoder(c.in).Encode(task); err != nil {
		t.Fatal(err)
	}
	return c
}

// line is the next one of output; "" if it has ended.
func (c *child) line(t *testing.T) string {
	t.Helper()
	select {
	case line := <-c.lines:
		return line
	case <-time.After(patience):
		t.Fatalf("%v says nothing; stderr: %s", c.cmd.Process, &c.stderr)
	}
	return ""
}

func (c *child) kill() {
	c.cmd.Process.Kill()
	<-c.ended
}

// finish waits for its orderly end.
func (c *child) finish(t *testing.T) {
	t.Helper()
	select {
	case <-c.ended:
		if c.err != nil {
			t.Errorf("%v: %s", c.err, &c.stderr)
		}
	case <-time.After(patience):
		t.Errorf("pid %d does not end", c.cmd.Process.Pid)
		c.cmd.Process.Signal(syscall.SIGQUIT)
		<-c.ended
		t.Fatalf("stderr: %s", &c.stderr)
	}
}

// mark is a variable that all nodes of a test have in their environment.
const envMark = "DIST_TEST_MARK"

func markedAsk(t *testing.T, nodes int) (a Ask, mark string) {
	mark = usersocket.Random()
	a = testAsk(t, nodes)
	a.Env = append(os.Environ(), envMark+"="+mark)
	return a, mark
}

// marked are the processes with a mark that still run.
func marked(mark string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err == nil && bytes.Contains(b, []byte(envMark+"="+mark)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func noneLeft(mark string) func() string {
	return func() string {
		if pids := marked(mark); len(pids) > 0 {
			return fmt.Sprintf("processes %v are left", pids)
		}
		return ""
	}
}

// empty is for directories that the reaper of a killed owner empties.
func isEmpty(dir string) func() string {
	return func() string {
		files, err := os.ReadDir(dir)
		if err != nil || len(files) > 0 {
			return fmt.Sprintf("left in %s: %v, %v", dir, files, err)
		}
		return ""
	}
}

// TestOwnerKilled: with its owner, a cluster is gone at once, whoever has it is
// told, and the next run finds nothing in its way.
func TestOwnerKilled(t *testing.T) {
	dir := home(t)
	a, mark := markedAsk(t, 3)
	owner := startChild(t, "owner", ownerTask{Options{Kind: "dist up", Open: true}, []Ask{a}})
	file := owner.line(t)
	record, err := ReadRecord(file)
	if err != nil {
		t.Fatal(err)
	}
	held := startChild(t, "client", clientTask{Ask: a, Leases: 1, Hold: true})
	if got := held.line(t); !strings.HasPrefix(got, "leased kv-") {
		t.Fatalf("client: %q, %s", got, &held.stderr)
	}
	c := dial(t, file)
	waits := make(chan error, 1)
	go func() {
		a := a
		a.Shared = false
		_, err := c.Lease(t.Context(), a)
		waits <- err
	}()
	eventually(t, func() string {
		infos, err := c.Clusters(t.Context())
		if err == nil && len(infos) == 1 && len(infos[0].Leases)+len(infos[0].Waiting) == 2 {
			return ""
		}
		return fmt.Sprintf("clusters: %+v, %v", infos, err)
	})
	if n := len(marked(mark)); n != 3 {
		t.Errorf("%d nodes run", n)
	}
	owner.kill()
	if err := <-waits; err != nil && code(err) != diagnostics.ClusterGone {
		t.Errorf("who waits: %v", err)
	}
	if got := held.line(t); got != "lost "+string(diagnostics.ClusterGone) {
		t.Errorf("who has it: %q", got)
	}
	held.finish(t)
	if records, notes, err := Records(); len(records)+len(notes) > 0 || err != nil {
		t.Errorf("Records() = %+v, %q, %v", records, notes, err)
	}
	if left := isEmpty(dir)(); left != "" {
		t.Error(left)
	}
	if _, err := os.Stat(record.Socket); err == nil {
		t.Error("its socket is still there")
	}
	next := startChild(t, "owner", ownerTask{Options{Kind: "dist up", Open: true}, []Ask{a}})
	next.line(t)
	client := startChild(t, "client", clientTask{Ask: a, Leases: 2})
	client.finish(t)
	next.in.Close()
	next.finish(t)
	eventually(t, noneLeft(mark))
	eventually(t, isEmpty(dir))
	eventually(t, isEmpty(os.TempDir()))
}

// TestClientKilled: what a client had, or waited for, ends with it. The cluster
// does not.
func TestClientKilled(t *testing.T) {
	home(t)
	a, mark := markedAsk(t, 2)
	owner := startChild(t, "owner", ownerTask{Options{Kind: "dist up", Open: true}, []Ask{a}})
	c := dial(t, owner.line(t))
	leased := func(n int) func() string {
		return func() string {
			infos, err := c.Clusters(t.Context())
			if err == nil && len(infos) == 1 && len(infos[0].Leases)+len(infos[0].Waiting) == n {
				return ""
			}
			return fmt.Sprintf("clusters: %+v, %v; want %d leases", infos, err, n)
		}
	}
	// A client that has an exclusive lease, and one behind it.
	l := mustLease(t, c, a)
	first := startChild(t, "client", clientTask{Ask: a, Leases: 1, Hold: true, Seed: 1})
	eventually(t, leased(2))
	second := startChild(t, "client", clientTask{Ask: a, Leases: 1, Hold: true, Seed: 1})
	eventually(t, leased(3))
	second.kill()
	eventually(t, leased(2))
	act(t, l, 0, Kill)
	mustRelease(t, l)
	if got := first.line(t); !strings.HasPrefix(got, "leased") {
		t.Fatalf("client: %q, %s", got, &first.stderr)
	}
	first.kill()
	eventually(t, leased(0))
	l = mustLease(t, c, a)
	if !l.Info().Reused {
		t.Error("the cluster has ended with a client")
	}
	mustRelease(t, l)
	if n := len(marked(mark)); n != 2 {
		t.Errorf("%d nodes run", n)
	}
}

// TestTwoOwners: any number of owners at once have nothing to do with each
// other.
func TestTwoOwners(t *testing.T) {
	home(t)
	a, _ := markedAsk(t, 1)
	b := a
	b.Nodes = 2
	one := startChild(t, "owner", ownerTask{Options{Kind: "dist up", Open: true}, []Ask{a}})
	two := startChild(t, "owner", ownerTask{Options{Kind: "dist up", Open: true}, []Ask{b}})
	fileOne, fileTwo := one.line(t), two.line(t)
	if records, _, err := Records(); len(records) != 2 || err != nil {
		t.Fatalf("Records() = %+v, %v", records, err)
	}
	f := &Finder{}
	defer f.Close()
	for ask, file := range map[*Ask]string{&a: fileOne, &b: fileTwo} {
		found, err := f.Find(t.Context(), *ask)
		if err != nil || found.Owner == nil || found.Owner.(*Client).record.File != file || len(found.Passed) != 1 {
			t.Errorf("Find(%d nodes) = %+v, %v", ask.Nodes, found, err)
		}
	}
	one.kill()
	found, err := f.Find(t.Context(), b)
	if err != nil || found.Owner == nil || len(found.Passed) > 0 {
		t.Errorf("Find() = %+v, %v", found, err)
	}
	mustLease(t, found.Owner, found.Ask)
}

// TestOtherUser: another user can neither read the registry nor lease, even
// with the secret and a socket that anybody may connect to.
func TestOtherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	home(t)
	open, err := os.MkdirTemp("/tmp", "dist-test-") // the test's own are not for others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(open)
	binary := filepath.Join(open, "keeper.test")
	self, err := os.ReadFile(testProgram().Command[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(open, "cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, cache} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_CACHE_HOME", cache)
	s, _ := serve(t, Options{Kind: "dist up", Open: true})
	if !strings.HasPrefix(s.record.Socket, cache) {
		t.Fatalf("the socket is %s", s.record.Socket)
	}
	dir, err := lockfile.Dir(registry)
	if err != nil {
		t.Fatal(err)
	}
	stranger := func() string {
		cmd := exec.Command(binary, dir, s.File(), s.record.Socket, s.record.Secret)
		cmd.Env = append(os.Environ(), envRole+"=stranger")
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := stranger(); !strings.HasPrefix(got, "cannot connect:") || !strings.Contains(got, "permission denied") {
		t.Errorf("another user: %s", got)
	}
	// All doors but the last one open.
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(s.record.Socket, 0o777); err != nil {
		t.Fatal(err)
	}
	// How a closed connection shows itself is a matter of timing.
	if got := stranger(); !strings.HasPrefix(got, "can list the registry\ngreeted: ") || strings.HasSuffix(got, "<nil>") || strings.Contains(got, "can read") {
		t.Errorf("another user, with the doors open: %s", got)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s.File()).Clusters(t.Context()); err != nil {
		t.Error(err)
	}
}
