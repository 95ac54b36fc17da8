//go:build linux

package links

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/network"
)

// What the test binary is when it is run again: a node that talks on one
// connection what it is told to, or one whose child does.
func TestMain(m *testing.M) {
	switch addr := os.Getenv("LINKS_DIAL"); {
	case addr == "":
		os.Exit(m.Run())
	case os.Getenv("LINKS_UDP") != "":
		os.Exit(sender(addr))
	case os.Getenv("LINKS_CHILD") != "":
		os.Unsetenv("LINKS_CHILD")
		cmd := exec.Command(os.Args[0])
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			os.Exit(1)
		}
	default:
		c, err := net.Dial("tcp", addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() {
			io.Copy(c, os.Stdin)
			c.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(os.Stdout, c)
	}
}

// A world is links to nodes whose listeners are the test's. The test is node 0
// as well, so that what it dials comes from there.
type world struct {
	*Network
	t     *testing.T
	addrs []string
	nodes []*net.TCPListener

	mu   sync.Mutex
	pids []int
}

const patience = 2 * time.Minute

func newWorld(t *testing.T, n int) *world {
	t.Helper()
	w := &world{t: t, pids: make([]int, n)}
	w.pids[0] = os.Getpid()
	var err error
	w.Network, err = New(func() []int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return append([]int(nil), w.pids...)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	for i := range n {
		l := listen(t)
		var addr string
		err := error(unix.EADDRINUSE)
		for errors.Is(err, unix.EADDRINUSE) { // somebody was faster
			free := listen(t)
			addr = free.Addr().String()
			free.Close()
			err = w.Serve(i, addr, l.Addr().String())
		}
		if err != nil {
			t.Fatal(err)
		}
		w.addrs = append(w.addrs, addr)
		w.nodes = append(w.nodes, l)
	}
	return w
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (w *world) dial(node int) *net.TCPConn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addrs[node])
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

func (w *world) accept(node int) *net.TCPConn {
	w.t.Helper()
	w.nodes[node].SetDeadline(time.Now().Add(patience))
	c, err := w.nodes[node].AcceptTCP()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// pair is a connection to a node, both ends of it.
func (w *world) pair(node int) (client, server *net.TCPConn) {
	w.t.Helper()
	client = w.dial(node)
	return client, w.accept(node)
}

func (w *world) set(conditions map[network.Pair]network.Condition) {
	w.t.Helper()
	if err := w.Set(conditions); err != nil {
		w.t.Fatal(err)
	}
}

var (
	there = network.Pair{From: 0, To: 1}
	back  = network.Pair{From: 1, To: 0}
	cut   = network.Condition{Cut: true}
	both  = map[network.Pair]network.Condition{there: cut, back: cut}
)

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
}

// silent fails if anything arrives: bytes, an end or an error.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	var b [100]byte
	if n, err := c.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q, %v across a cut", b[:n], err)
	}
}

func wantEOF(t *testing.T, c net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Fatalf("%q, %v; want the end", b, err)
	}
}

func wantReset(t *testing.T, c net.Conn) {
	t.Helper()
	var b [1]byte
	if n, err := c.Read(b[:]); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%d bytes, %v; want a reset", n, err)
	}
}

func TestHalfClose(t *testing.T) {
	w := newWorld(t, 2)
	client, server := w.pair(1)
	say(t, client, "question")
	client.CloseWrite()
	hear(t, server, "question")
	wantEOF(t, server)
	say(t, server, "answer")
	server.Close()
	hear(t, client, "answer")
	wantEOF(t, client)

	client, server = w.pair(1)
	server.CloseWrite()
	wantEOF(t, client)
	say(t, client, "late")
	hear(t, server, "late")
}

func TestResetsPass(t *testing.T) {
	w := newWorld(t, 2)
	client, server := w.pair(1)
	client.SetLinger(0)
	client.Close()
	wantReset(t, server)
	client, server = w.pair(1)
	server.SetLinger(0)
	server.Close()
	wantReset(t, client)
	// Gone after it had closed its half.
	client, server = w.pair(1)
	server.CloseWrite()
	wantEOF(t, client)
	server.SetLinger(0)
	server.Close()
	for begin := time.Now(); ; {
		if _, err := client.Write([]byte("x")); err != nil {
			break
		}
		if time.Since(begin) > patience {
			t.Fatal("writes go on to a node that is gone")
		}
	}
	// A proxy cannot refuse: it resets, which may be before the dialler has looked.
	w.nodes[1].Close()
	c, err := net.Dial("tcp", w.addrs[1])
	if err == nil {
		defer c.Close()
		wantReset(t, c)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestCutHoldsWhatIsThere(t *testing.T) {
	w := newWorld(t, 3)
	client, server := w.pair(1)
	within, other := w.pair(2)
	say(t, client, "a")
	hear(t, server, "a")
	w.set(both)
	say(t, client, "b")
	say(t, server, "B")
	silent(t, server)
	silent(t, client)
	say(t, within, "w")
	hear(t, other, "w")
	// That an end is gone is not known beyond the cut either.
	client.CloseWrite()
	silent(t, server)
	w.set(nil)
	hear(t, server, "b")
	wantEOF(t, server)
	hear(t, client, "B")

	client, server = w.pair(1)
	w.set(both)
	client.SetLinger(0)
	client.Close()
	silent(t, server)
	w.set(nil)
	wantReset(t, server)
}

func TestOneWay(t *testing.T) {
	w := newWorld(t, 2)
	client, server := w.pair(1)
	w.set(map[network.Pair]network.Condition{there: cut})
	say(t, client, "a")
	say(t, server, "A")
	hear(t, client, "A")
	silent(t, server)
	w.set(map[network.Pair]network.Condition{back: cut})
	hear(t, server, "a")
	say(t, server, "B")
	silent(t, client)
	w.set(nil)
	hear(t, client, "B")
}

// atCut returns n connections that have been accepted and wait at a cut.
func (w *world) atCut(n int) (links []*link) {
	w.t.Helper()
	w.until("connections wait at the cut", func() bool {
		links = slices.DeleteFunc(slices.Collect(maps.Keys(w.links)), func(l *link) bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return !l.holding
		})
		return len(links) == n
	})
	return links
}

// Connections across a cut are accepted, and nothing comes of them before it is
// healed.
func TestCutHoldsNewConnections(t *testing.T) {
	w := newWorld(t, 2)
	for _, conditions := range []map[network.Pair]network.Condition{both, {there: cut}, {back: cut}} {
		w.set(conditions)
		client, impatient := w.dial(1), w.dial(1)
		w.atCut(2) // what is accepted only after a cut is healed has not met it
		say(t, client, "a")
		say(t, impatient, "given up")
		impatient.Close()
		w.nodes[1].SetDeadline(time.Now().Add(20 * time.Millisecond))
		if c, err := w.nodes[1].Accept(); err == nil {
			t.Fatalf("%v has come through", c.RemoteAddr())
		}
		w.set(nil)
		server := w.accept(1)
		hear(t, server, "a")
		say(t, server, "A")
		hear(t, client, "A")
		w.nodes[1].SetDeadline(time.Now().Add(20 * time.Millisecond))
		if c, err := w.nodes[1].Accept(); err == nil {
			t.Fatalf("a connection that was given up has come through: %v", c.RemoteAddr())
		}
	}
}

// A stream is cut and healed again and again, and arrives whole.
func TestStreamSurvivesCuts(t *testing.T) {
	w := newWorld(t, 2)
	var wg sync.WaitGroup
	stop := make(chan bool)
	for range 2 {
		client, server := w.pair(1)
		for _, c := range [][2]*net.TCPConn{{client, server}, {server, client}} {
			sent := make(chan uint32, 1)
			wg.Go(func() {
				sum := crc32.NewIEEE()
				buf := make([]byte, 100_000)
				for i := range buf {
					buf[i] = byte(rand.Uint32())
				}
				for done := false; !done; {
					select {
					case <-stop:
						done = true
					default:
					}
					part := buf[rand.N(len(buf)):]
					sum.Write(part)
					if _, err := c[0].Write(part); err != nil {
						t.Error(err)
						return
					}
				}
				c[0].CloseWrite()
				sent <- sum.Sum32()
			})
			wg.Go(func() {
				sum := crc32.NewIEEE()
				if _, err := io.Copy(sum, c[1]); err != nil {
					t.Error(err)
					return
				}
				if got := sum.Sum32(); got != <-sent {
					t.Error("what has arrived is not what was sent")
				}
			})
		}
	}
	slow := network.Condition{Delay: time.Millisecond, Jitter: time.Millisecond}
	for i := range 30 {
		w.set([]map[network.Pair]network.Condition{both, nil, {there: cut}, {there: slow, back: slow}, {back: cut, there: slow}, {back: {Bandwidth: 20 << 20}}}[i%6])
		w.check(i)
	}
	w.set(nil)
	close(stop)
	wg.Wait()
}

// check fails if something is on its way in a direction that is cut.
func (w *world) check(round int) {
	w.t.Helper()
	w.Network.mu.Lock()
	defer w.Network.mu.Unlock()
	for l := range w.links {
		l.mu.Lock()
		for _, h := range []*half{l.up, l.down} {
			if h.condition.Cut && h.writing {
				w.t.Errorf("round %d: something is being written across a cut", round)
			}
		}
		l.mu.Unlock()
	}
}

// The reader does not read: the writer has to wait, cut or not.
func TestBackpressure(t *testing.T) {
	w := newWorld(t, 2)
	for _, c := range []network.Condition{{}, {Delay: time.Millisecond}} {
		w.set(map[network.Pair]network.Condition{there: c})
		client, server := w.pair(1)
		block := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
		sent := 0
		client.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		for {
			n, err := client.Write(block[sent%16:])
			sent += n
			if err != nil {
				break
			}
			if sent > 1<<30 {
				t.Fatal("a gigabyte is on its way to somebody who does not read")
			}
		}
		w.set(both) // does not wait for the reader
		w.set(nil)
		client.CloseWrite()
		got, i := 0, 0
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			for _, b := range buf[:n] {
				if b != "0123456789abcdef"[i%16] {
					t.Fatalf("byte %d is %q", i, b)
				}
				i++
			}
			got += n
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got != sent {
			t.Errorf("%d bytes have arrived of %d", got, sent)
		}
	}
}

func TestDelay(t *testing.T) {
	w := newWorld(t, 2)
	client, server := w.pair(1)
	go io.Copy(server, server)
	const delay = 30 * time.Millisecond
	for _, c := range []network.Condition{{Delay: delay}, {Delay: delay, Jitter: 2 * time.Millisecond}} {
		w.set(map[network.Pair]network.Condition{there: c})
		begin := time.Now()
		for i := range 10 {
			say(t, client, fmt.Sprint(i))
		}
		hear(t, client, "0123456789")
		if took := time.Since(begin); took < delay {
			t.Errorf("there and back in %v in spite of a delay of %v", took, delay)
		}
	}
	// What is on its way arrives when the delay ends.
	w.set(map[network.Pair]network.Condition{there: {Delay: time.Hour}})
	say(t, client, "a")
	silent(t, client)
	w.set(map[network.Pair]network.Condition{there: {Cut: true, Delay: time.Hour}})
	w.set(nil)
	hear(t, client, "a")
}

func TestBandwidth(t *testing.T) {
	w := newWorld(t, 2)
	client, server := w.pair(1)
	w.set(map[network.Pair]network.Condition{there: {Bandwidth: 1 << 20}})
	const size = 200 << 10
	begin := time.Now()
	go func() {
		client.Write(make([]byte, size))
		client.CloseWrite()
	}()
	n, err := io.Copy(io.Discard, server)
	if err != nil || n != size {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if took, least := time.Since(begin), 190*time.Millisecond; took < least {
		t.Errorf("%d bytes at 1 MiB/s took %v, want %v at least", size, took, least)
	}
}

func TestReset(t *testing.T) {
	w := newWorld(t, 3)
	client, server := w.pair(1)
	other, end := w.pair(2)
	n, err := w.Reset([]network.Pair{back})
	if n != 1 || err != nil {
		t.Errorf("%d connections, %v", n, err)
	}
	wantReset(t, client)
	wantReset(t, server)
	say(t, other, "a")
	hear(t, end, "a")
	client, server = w.pair(1) // a new one is none of its business
	say(t, client, "a")
	hear(t, server, "a")
}

func TestClose(t *testing.T) {
	w := newWorld(t, 2)
	client, server := w.pair(1)
	w.set(both)
	held := w.dial(1)
	w.Close()
	wantReset(t, client)
	wantReset(t, server)
	wantReset(t, held)
	if err := w.Set(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Set after Close: %v", err)
	}
}

// A remote is a process that is a node, or a part of one.
type remote struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

func start(t *testing.T, addr string, env ...string) *remote {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "LINKS_DIAL="+addr), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	return &remote{cmd, in, out}
}

// The cut is between two processes; what a third says, and what a stranger does,
// comes through.
func TestSources(t *testing.T) {
	w := newWorld(t, 4)
	w.pids[0] = 0 // the test is nobody
	conns := make(map[string]*net.TCPConn)
	var remotes []*remote
	for i, env := range []string{"", "LINKS_CHILD=1", "", ""} {
		// The process could be faster than we are: then its connection is a
		// stranger's, until the next fault.
		r := start(t, w.addrs[3], env)
		known := func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.pids[i] = r.cmd.Process.Pid
		}
		if i < 2 {
			known()
		}
		name := fmt.Sprint("process ", i)
		io.WriteString(r.in, name)
		c := w.accept(3)
		hear(t, c, name)
		if i == 2 {
			known()
		}
		conns[name] = c
		remotes = append(remotes, r)
	}
	client := w.dial(3)
	server := w.accept(3)
	check := func(conditions map[network.Pair]network.Condition, hears ...bool) {
		t.Helper()
		w.set(conditions)
		for i, r := range remotes {
			io.WriteString(r.in, "x")
			if c := conns[fmt.Sprint("process ", i)]; hears[i] {
				hear(t, c, "x")
			} else {
				silent(t, c)
			}
		}
		say(t, client, "x")
		hear(t, server, "x")
		w.set(nil)
		for i := range remotes {
			if !hears[i] {
				hear(t, conns[fmt.Sprint("process ", i)], "x")
			}
		}
	}
	check(map[network.Pair]network.Condition{{From: 0, To: 3}: cut}, false, true, true, true)
	check(map[network.Pair]network.Condition{{From: 1, To: 3}: cut}, true, false, true, true)
	check(map[network.Pair]network.Condition{{From: 0, To: 3}: cut, {From: 2, To: 3}: cut}, false, true, false, true)
}

// Who has left before anybody could look may have been a node.
func TestUnknownSource(t *testing.T) {
	l := listen(t)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := newFinder()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	client, server := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	if got := f.find(tcp, client, server, []int{0, os.Getpid()}); got != 1 {
		t.Errorf("an open connection of node 1 is from %d", got)
	}
	if got := f.find(tcp, client, server, []int{0, 0}); got != outside {
		t.Errorf("an open connection of the test is from %d", got)
	}
	io.WriteString(c, "last words")
	c.Close()
	if got := f.find(tcp, client, server, []int{0, os.Getpid()}); got != unknown {
		t.Errorf("a closed connection is from %d", got)
	}
	n := &Network{conditions: map[network.Pair]network.Condition{{From: 2, To: 1}: cut}}
	if up, down := n.between(unknown, 1); !up.Cut || down.Cut {
		t.Errorf("unknown to node 1: %v, %v", up, down)
	}
	if up, down := n.between(unknown, 0); up.Cut || down.Cut {
		t.Errorf("unknown to node 0: %v, %v", up, down)
	}
	if up, _ := n.between(outside, 1); up.Cut {
		t.Error("the test is cut off")
	}
}

// A node that dials what another one binds goes past the links, and a cut that
// is none is no cut.
func TestBypass(t *testing.T) {
	w := newWorld(t, 2)
	r := start(t, w.nodes[1].Addr().String())
	end := w.accept(1)
	client, server := w.pair(1)
	say(t, client, "a")
	hear(t, server, "a")
	w.set(both) // the test is node 0, and that process nobody
	w.set(nil)
	w.mu.Lock()
	w.pids[0] = r.cmd.Process.Pid
	w.mu.Unlock()
	w.set(nil)
	for _, c := range []map[network.Pair]network.Condition{{there: cut}, {back: cut}, nil} {
		if err := w.Set(c); err == nil || !strings.Contains(err.Error(), "node-1 has a connection to node-2 that goes past the links") {
			t.Errorf("%v: %v", c, err)
		}
	}
	end.Close()
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t, 1)
	if err := w.Serve(0, w.addrs[0], "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "link to node-1") {
		t.Error(err)
	}
}

func BenchmarkFind(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	f, err := newFinder()
	if err != nil {
		b.Fatal(err)
	}
	defer f.close()
	for _, pids := range [][]int{{os.Getpid()}, {0}} {
		b.Run(fmt.Sprint(pids[0] != 0), func(b *testing.B) {
			for b.Loop() {
				f.find(tcp, addrPort(c.LocalAddr()), addrPort(c.RemoteAddr()), pids)
			}
		})
	}
}

// A process that has no descriptor left is not on a system without faults.
func TestNoDescriptors(t *testing.T) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	highest := 0
	for _, n := range names {
		if fd, err := strconv.Atoi(n.Name()); err == nil {
			highest = max(highest, fd)
		}
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	refused := 0
	for limit := 3; ; limit++ {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(limit), Max: was.Max}); err != nil {
			t.Fatal(err)
		}
		n, err := New(func() []int { return nil })
		if err == nil {
			n.Close()
			break
		}
		refused++
		if u := (*network.Unsupported)(nil); errors.As(err, &u) || !errors.Is(err, unix.EMFILE) {
			t.Fatalf("with %d descriptors: %v", limit, err)
		}
		if limit > highest+30 {
			t.Fatalf("with %d descriptors, of which at most %d are used: %v", limit, highest+1, err)
		}
	}
	if refused == 0 {
		t.Error("there were enough descriptors all the time")
	}
}

// A connection for which there is no descriptor waits for one, and what becomes of
// it when there is none is told.
func TestNoDescriptorToReach(t *testing.T) {
	w := newWorld(t, 2)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	limit := func(cur uint64) {
		t.Helper()
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: cur, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
	}
	// held is a connection that has been accepted and waits at a cut.
	held := func() (*net.TCPConn, *link) {
		t.Helper()
		w.set(both)
		c := w.dial(1)
		return c, w.atCut(1)[0]
	}

	c, l := held()
	limit(0)
	l.set(network.Condition{}, network.Condition{})
	wantReset(t, c)
	limit(was.Cur)
	for begin := time.Now(); ; runtime.Gosched() {
		err := w.Set(nil)
		if err != nil {
			if !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "a connection to node-2 was reset") || !strings.Contains(err.Error(), "ulimit -n") {
				t.Error(err)
			}
			break
		}
		if time.Since(begin) > patience {
			t.Fatal("nothing is told")
		}
	}
	w.set(nil) // told once

	// One that cannot even be accepted waits for that.
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := addrPort(w.listeners[1].Addr())
	limit(0)
	err = unix.Connect(raw, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	for begin := time.Now(); err == nil && time.Since(begin) < patience; runtime.Gosched() {
		w.Network.mu.Lock()
		told := w.failed
		w.Network.mu.Unlock()
		if told != nil {
			break
		}
	}
	limit(was.Cur)
	if err != nil {
		t.Fatal(err)
	}
	s := w.accept(1)
	unix.Close(raw)
	wantEOF(t, s)
	s.Close()
	if err := w.Set(nil); !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "connections to node-2 had to wait") {
		t.Error(err)
	}
	w.until("the link has ended", func() bool { return len(w.links) == 0 })

	c, l = held()
	limit(0)
	l.set(network.Condition{}, network.Condition{})
	for waits := false; !waits; runtime.Gosched() {
		l.mu.Lock()
		waits = !l.holding && l.dialing == nil // it has tried once
		if l.ended || l.server != nil {
			t.Fatal("it does not wait")
		}
		l.mu.Unlock()
	}
	limit(was.Cur)
	s = w.accept(1)
	say(t, c, "hello")
	hear(t, s, "hello")
	w.set(nil)
}
