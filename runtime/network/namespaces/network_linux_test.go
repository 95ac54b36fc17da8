package namespaces

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/procstat"
)

const envProgram = "DIST_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(envProgram) {
	case "":
		os.Exit(m.Run())
	case "who": // what a process in a node's network is
		fmt.Println("uid", os.Getuid(), "parent", os.Getppid(), "group", unix.Getpgrp() == os.Getpid())
		status, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "CapEff") || strings.HasPrefix(line, "CapInh") {
				fmt.Print(line)
			}
		}
		names, _ := net.Interfaces()
		for _, i := range names {
			addrs, _ := i.Addrs()
			fmt.Println(i.Name, addrs)
		}
	case "wait":
		select {}
	case "first": // in the kernel of testdata/netem: loads modules
		if err := first(os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "deliver", "drop": // what comes from an address, before any rule of the switch's is asked
		n, err := newNetlink(unix.NETLINK_ROUTE)
		if err == nil {
			err = n.addRule(rule{from: netip.MustParseAddr(os.Args[1]), table: map[string]uint8{"deliver": peersTable}[os.Getenv(envProgram)]})
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "fail":
		os.Exit(failedExec)
	case "networks": // makes them, and tells which process has them
		n, err := Between(3, []string{"a"}, addresses())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(n.cmd.Process.Pid)
		select {}
	}
}

var clusters atomic.Uint32

// addresses are those of another cluster, by node.
func addresses() func(node int, port string) string {
	prefix := fmt.Sprintf("127.%d.%d.", 100+os.Getpid()%100, 1+clusters.Add(1)%250) // the first ones have ended
	return func(i int, _ string) string { return fmt.Sprint(prefix, i+1, ":9000") }
}

// open makes networks for some nodes, or skips the test where that is
// impossible.
func open(t *testing.T, nodes int) *Network {
	t.Helper()
	n, err := Between(nodes, []string{"a"}, addresses())
	if u := (*network.Unsupported)(nil); errors.As(err, &u) {
		if os.Getenv("DIST_NETWORK_FAULTS") == Backend {
			t.Fatal(err)
		}
		t.Skipf("there can be no network namespaces here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func (h *Host) at() string { return netip.AddrPortFrom(h.addr, 9000).String() }

// bind makes a socket in a node's network that listens, or receives datagrams.
func (h *Host) bind(t *testing.T, kind int) *os.File {
	t.Helper()
	_, got, err := h.n.ask(request{Op: opSocket, Node: h.node, Type: kind})
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(got[0]), "socket")
	t.Cleanup(func() { f.Close() })
	if err := unix.Bind(got[0], &unix.SockaddrInet4{Port: 9000}); err != nil {
		t.Fatal(err)
	}
	return f
}

// serve has a node answer lines with the same lines, and datagrams likewise.
func serve(t *testing.T, h *Host) {
	t.Helper()
	f := h.bind(t, unix.SOCK_STREAM)
	if err := unix.Listen(int(f.Fd()), 100); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintln(c, c.RemoteAddr().(*net.TCPAddr).IP)
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintln(c, in.Text())
				}
			}()
		}
	}()
	u, err := net.FilePacketConn(h.bind(t, unix.SOCK_DGRAM))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			u.WriteTo(buf[:n], from)
		}
	}()
}

// A line is a connection to a node that answers lines.
type line struct {
	net.Conn
	in   *bufio.Reader
	from string // who the node thinks that it is
}

func dial(t *testing.T, h *Host, to string) *line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := h.Dial(ctx, "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	return hear(t, c)
}

func hear(t *testing.T, c net.Conn) *line {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	l := &line{c, bufio.NewReader(c), ""}
	l.from = l.read(t)
	return l
}

func (l *line) read(t *testing.T) string {
	t.Helper()
	l.SetReadDeadline(time.Now().Add(30 * time.Second))
	s, err := l.in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

func (l *line) say(t *testing.T, s string) {
	t.Helper()
	if _, err := fmt.Fprintln(l, s); err != nil {
		t.Fatal(err)
	}
}

// silence is how long nothing must arrive; what is wrong would in a thousandth.
const silence = 50 * time.Millisecond

func (l *line) quiet(t *testing.T) {
	t.Helper()
	l.SetReadDeadline(time.Now().Add(silence))
	if s, err := l.in.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("across a cut: %q, %v", s, err)
	}
}

func cutOff(pairs ...network.Pair) map[network.Pair]network.Condition {
	m := make(map[network.Pair]network.Condition)
	for _, p := range pairs {
		m[p] = network.Condition{Cut: true}
	}
	return m
}

func TestCutAndHeal(t *testing.T) {
	t.Run("macvlan", testCutAndHeal)
	t.Run("bridge", func(t *testing.T) {
		onlyBridge = true
		defer func() { onlyBridge = false }()
		testCutAndHeal(t)
	})
}

func testCutAndHeal(t *testing.T) {
	n := open(t, 3)
	for i := range 3 {
		serve(t, n.Host(i))
	}
	a, b, c := n.Host(0), n.Host(1), n.Host(2)
	ab, cb := dial(t, a, b.at()), dial(t, c, b.at())
	if ab.from != a.addr.String() {
		t.Errorf("node-2 sees node-1 as %s, which is %v", ab.from, a.addr)
	}
	set := func(m map[network.Pair]network.Condition) {
		t.Helper()
		if err := n.Set(m); err != nil {
			t.Fatal(err)
		}
	}
	datagram := func(from, to *Host, within time.Duration) bool {
		u, err := from.Dial(t.Context(), "udp", to.at())
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		u.Write([]byte("x"))
		u.SetReadDeadline(time.Now().Add(within))
		_, err = u.Read(make([]byte, 10))
		return err == nil
	}
	for _, cut := range [][]network.Pair{
		{{From: 0, To: 1}}, // what node-1 says is not heard,
		{{From: 1, To: 0}}, // nor what it is answered
		{{From: 0, To: 1}, {From: 1, To: 0}},
	} {
		set(cutOff(cut...))
		ab.say(t, "lost for now")
		ab.quiet(t)
		cb.say(t, "beside it")
		if got := cb.read(t); got != "beside it" {
			t.Errorf("%q beside the cut %v", got, cut)
		}
		ctx, cancel := context.WithTimeout(t.Context(), silence)
		if c, err := a.Dial(ctx, "tcp", b.at()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a connection across the cut %v: %v, %v", cut, c, err)
		}
		cancel()
		if datagram(a, b, silence) {
			t.Errorf("a datagram was answered across the cut %v", cut)
		}
		if !datagram(c, b, 30*time.Second) {
			t.Errorf("a datagram was not answered beside the cut %v", cut)
		}
		set(nil)
		// It flows again: the answer has been sent, or is in a moment.
		if got := ab.read(t); got != "lost for now" {
			t.Errorf("%q after the cut %v", got, cut)
		}
		if !datagram(a, b, 30*time.Second) {
			t.Errorf("a datagram was not answered after the cut %v", cut)
		}
		dial(t, a, b.at())
	}
}

// What a node has sent before it closed a connection arrives, however long the
// other takes to read it.
func TestClosedAndUnread(t *testing.T) {
	n := open(t, 2)
	f := n.Host(1).bind(t, unix.SOCK_STREAM)
	if err := unix.Listen(int(f.Fd()), 1); err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(int(f.Fd()), false)
	out, err := n.Host(0).Dial(t.Context(), "tcp", n.Host(1).at())
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := unix.Accept(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(in)
	// More than fits into what waits to be read, and less than with what waits to be
	// sent.
	const size = 1 << 20
	if _, err := out.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	reset := []unix.PollFd{{Fd: int32(in)}} // of which a poll tells unasked
	for until := time.Now().Add(4 * time.Second); time.Now().Before(until); {
		if n, err := unix.Poll(reset, int(time.Until(until).Milliseconds())+1); err != unix.EINTR && n != 0 {
			t.Errorf("a connection that was closed and not read: %+v, %v", reset, err)
			break
		}
	}
	got, buf := 0, make([]byte, 64<<10)
	for {
		n, err := unix.Read(in, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Errorf("after %d bytes: %v", got, err)
		}
		if n <= 0 {
			break
		}
		got += n
	}
	if got != size {
		t.Errorf("%d bytes of %d arrived", got, size)
	}
}

// Whoever is outside reaches a node, cut off or not.
func TestOutside(t *testing.T) {
	n := open(t, 2)
	h := n.Host(0)
	c, err := net.Dial("tcp", h.at())
	if err == nil { // or it has been reset already
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a connection to a node that does not listen: %v", err)
	}
	serve(t, h)
	if err := n.Set(cutOff(network.Pair{From: 0, To: 1}, network.Pair{From: 1, To: 0})); err != nil {
		t.Fatal(err)
	}
	if c, err = net.Dial("tcp", h.at()); err != nil {
		t.Fatal(err)
	}
	l := hear(t, c)
	l.say(t, "hello")
	if got := l.read(t); got != "hello" {
		t.Errorf("%q", got)
	}
	u, err := net.Dial("udp", h.at())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.SetDeadline(time.Now().Add(30 * time.Second))
	big := bytes.Repeat([]byte("x"), 40<<10)
	u.Write(big)
	buf := make([]byte, 64<<10)
	if n, err := u.Read(buf); err != nil || !bytes.Equal(buf[:n], big) {
		t.Errorf("a datagram of %d bytes: %d, %v", len(big), n, err)
	}
}

// A cut, or the end of one, that has no effect is told, and between whom.
func TestProof(t *testing.T) {
	for _, test := range []struct {
		program string // in the network of node-2
		before  map[network.Pair]network.Condition
		after   map[network.Pair]network.Condition
		want    string
	}{
		{"deliver", nil, cutOff(network.Pair{From: 2, To: 1}), "the rule that drops what node-3 sends to node-2 has no effect"},
		{"drop", cutOff(network.Pair{From: 2, To: 1}), nil, "what node-3 sends to node-2 does not arrive within 10s"},
	} {
		t.Run(test.program, func(t *testing.T) {
			n := open(t, 3)
			cmd, _ := command(t, n.Host(1), "wait")
			defer cmd.Wait()
			defer cmd.Process.Kill()
			args := []string{"-t", fmt.Sprint(cmd.Process.Pid), "-n"}
			if os.Geteuid() != 0 {
				args = append(args, "-U", "--preserve-credentials")
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Set(test.before); err != nil {
				t.Fatal(err)
			}
			meddle := exec.Command("nsenter", append(args, self, n.Host(2).addr.String())...)
			meddle.Env = append(os.Environ(), envProgram+"="+test.program)
			if out, err := meddle.CombinedOutput(); err != nil {
				t.Skipf("a node's network cannot be meddled with from here: %v\n%s", err, out)
			}
			if err = n.Set(test.after); err == nil || err.Error() != test.want {
				t.Errorf("%v, and not: %s", err, test.want)
			}
		})
	}
}

func TestReset(t *testing.T) {
	n := open(t, 3)
	serve(t, n.Host(1))
	ab, cb := dial(t, n.Host(0), n.Host(1).at()), dial(t, n.Host(2), n.Host(1).at())
	count, err := n.Reset([]network.Pair{{From: 0, To: 1}})
	if u := (*network.Unsupported)(nil); errors.As(err, &u) {
		t.Skip(err)
	}
	if err != nil || count != 1 {
		t.Errorf("%d connections, %v", count, err)
	}
	if _, err := ab.in.ReadString('\n'); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a connection that was reset: %v", err)
	}
	cb.say(t, "beside it")
	if got := cb.read(t); got != "beside it" {
		t.Errorf("%q", got)
	}
	// Also where the other end cannot be told.
	ab = dial(t, n.Host(0), n.Host(1).at())
	if err := n.Set(cutOff(network.Pair{From: 1, To: 0})); err != nil {
		t.Fatal(err)
	}
	if count, err := n.Reset([]network.Pair{{From: 1, To: 0}}); err != nil || count != 1 {
		t.Errorf("%d connections, %v", count, err)
	}
	if _, err := ab.in.ReadString('\n'); !errors.Is(err, unix.ECONNABORTED) {
		t.Errorf("a connection that was reset across a cut: %v", err)
	}
}

func TestNothingIsImitated(t *testing.T) {
	n := open(t, 2)
	if n.canShape() == nil {
		t.Skip("everything can be had here")
	}
	for _, c := range []network.Condition{{Delay: 1}, {Jitter: 1}, {Bandwidth: 1}, {Loss: 0.5}, {Cut: true, Delay: 1}} {
		err := n.Set(map[network.Pair]network.Condition{{From: 0, To: 1}: c})
		if u := (*network.Unsupported)(nil); !errors.As(err, &u) || !strings.Contains(err.Error(), `modprobe -a sch_netem sch_htb cls_u32" where it comes with them, or set [network] faults = "links"`) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	serve(t, n.Host(1))
	dial(t, n.Host(0), n.Host(1).at())
}

// command is a process of this binary in a node's network.
func command(t *testing.T, h *Host, program string) (*exec.Cmd, string) {
	t.Helper()
	out, err := os.Create(t.TempDir() + "/out put")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pidfd := -1
	cmd := &exec.Cmd{
		Path: self, Args: []string{self, "an argument"}, Dir: t.TempDir(), Stdout: out, Stderr: out,
		Env:         append(os.Environ(), envProgram+"="+program),
		SysProcAttr: &syscall.SysProcAttr{PidFD: &pidfd},
	}
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if pidfd < 0 {
		t.Error("no descriptor of the process")
	}
	unix.Close(pidfd)
	return cmd, out.Name()
}

// What runs in a node's network is a child of this process, of the same user,
// with no more rights.
func TestProcesses(t *testing.T) {
	n := open(t, 2)
	cmd, out := command(t, n.Host(1), "who")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprint("uid ", os.Getuid(), " parent ", os.Getpid(), " group true"), "eth0 [" + n.Host(1).addr.String() + "/32"}
	if os.Getuid() != 0 {
		want = append(want, "CapEff:\t0000000000000000", "CapInh:\t0000000000000000")
	}
	for _, w := range want {
		if !strings.Contains(string(b), w) {
			t.Errorf("no %q in what it says:\n%s", w, b)
		}
	}
	for _, bad := range []*exec.Cmd{
		{Path: "/no such program", Stdout: os.Stdout, Stderr: os.Stderr},
		{Path: "/bin/sh", Dir: "/no such directory", Stdout: os.Stdout, Stderr: os.Stderr},
	} {
		if err := n.Host(0).Start(bad); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", bad.Path, err)
		}
	}
}

// A file that is no program is found out by the exec alone. The child that could not
// become it does not remain.
func TestFailedExec(t *testing.T) {
	n := open(t, 2)
	file := filepath.Join(t.TempDir(), "no program")
	if err := os.WriteFile(file, []byte("\x7f"), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := zombies(t)
	// Of the same name as the switch, and with the same status: ours to wait for.
	t.Setenv(envProgram, "fail")
	like := &exec.Cmd{Path: "/proc/self/exe", Args: []string{self}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	like.Stdout, like.Stderr = os.Stdout, os.Stderr
	if err := n.Host(1).Start(like); err != nil {
		t.Fatal(err)
	}
	for {
		if s, ok := procstat.Of(like.Process.Pid); !ok || s.Zombie() {
			break
		}
		runtime.Gosched()
	}
	for range 3 {
		err := n.Host(0).Start(&exec.Cmd{Path: file, Stdout: os.Stdout, Stderr: os.Stderr})
		if !errors.Is(err, unix.ENOEXEC) {
			t.Errorf("started %q: %v", file, err)
		}
	}
	if err := like.Wait(); like.ProcessState.ExitCode() != failedExec {
		t.Errorf("another process: %v", err)
	}
	if left := zombies(t); len(left) > len(before) {
		t.Errorf("these are left: %v; before: %v", left, before)
	}
}

// zombies are this process's.
func zombies(t *testing.T) (found []procstat.Stat) {
	t.Helper()
	pids, err := procstat.PIDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if s, ok := procstat.Of(pid); ok && s.PPID == os.Getpid() && s.Zombie() {
			found = append(found, s)
		}
	}
	return found
}

// What has failed, wholly or in part, is done when it is asked for again.
func TestSetAgain(t *testing.T) {
	n := open(t, 2)
	serve(t, n.Host(1))
	ab := dial(t, n.Host(0), n.Host(1).at())
	set := func(m map[network.Pair]network.Condition) {
		t.Helper()
		n.asking.Lock()
		requests := n.requests
		n.requests = -1
		n.asking.Unlock()
		if err := n.Set(m); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("a change without anybody to do it: %v", err)
		}
		n.asking.Lock()
		n.requests = requests
		n.asking.Unlock()
		if err := n.Set(m); err != nil {
			t.Fatal(err)
		}
	}
	cut := cutOff(network.Pair{From: 0, To: 1})
	set(cut)
	ab.say(t, "held up")
	ab.quiet(t)
	set(nil)
	if got := ab.read(t); got != "held up" {
		t.Errorf("%q after the heal", got)
	}
	// One that may have been done all the same is undone.
	if err := n.Set(cut); err != nil {
		t.Fatal(err)
	}
	n.conditions, n.unsure = nil, []network.Pair{{From: 0, To: 1}, {From: 1, To: 0}}
	if err := n.Set(nil); err != nil {
		t.Fatal(err)
	}
	ab.say(t, "again")
	if got := ab.read(t); got != "again" {
		t.Errorf("%q after the heal of what had failed", got)
	}
}

// The switch has died, for want of memory or by somebody's hand: that is told, and
// nothing hangs.
func TestSwitchIsKilled(t *testing.T) {
	n := open(t, 2)
	cmd, _ := command(t, n.Host(0), "wait")
	unix.Kill(n.cmd.Process.Pid, unix.SIGKILL)
	err := n.Set(cutOff(network.Pair{From: 0, To: 1}))
	if err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("a cut without a switch: %v", err)
	}
	if _, err := n.Host(0).Dial(t.Context(), "tcp", n.Host(0).at()); err == nil {
		t.Error("a connection without a switch")
	}
	cmd.Process.Kill() // still ours
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process: %v", err)
	}
}

// However the process that has made the networks ends, the switch does, too, even
// where it is stopped.
func TestEndsWithItsMaker(t *testing.T) {
	open(t, 1) // or it is impossible
	for _, stopped := range []bool{false, true} {
		maker := exec.Command("/proc/self/exe")
		maker.Env = append(os.Environ(), envProgram+"=networks")
		out, err := maker.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := maker.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			maker.Process.Kill()
			maker.Wait()
		})
		var pid int
		if _, err := fmt.Fscan(out, &pid); err != nil {
			t.Fatal(err)
		}
		theSwitch, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(theSwitch)
		if stopped {
			unix.PidfdSendSignal(theSwitch, unix.SIGSTOP, nil, 0)
		}
		maker.Process.Kill()
		gone := []unix.PollFd{{Fd: int32(theSwitch), Events: unix.POLLIN}}
		n, err := unix.Poll(gone, 30_000)
		for err == unix.EINTR {
			n, err = unix.Poll(gone, 30_000)
		}
		if n != 1 {
			unix.PidfdSendSignal(theSwitch, unix.SIGKILL, nil, 0)
			t.Errorf("the switch (stopped: %v) outlives its maker: %v", stopped, err)
		}
	}
}

// A process that has no descriptor left is not on a system without networks.
func TestNoDescriptors(t *testing.T) {
	open(t, 1).Close() // or it is impossible
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
		n, err := Between(1, []string{"a"}, addresses())
		if err == nil {
			n.Close()
			break
		}
		refused++
		if !errors.Is(err, unix.EMFILE) {
			t.Fatalf("with %d descriptors: %v", limit, err)
		}
		if u := (*network.Unsupported)(nil); errors.As(err, &u) {
			t.Fatalf("with %d descriptors: %v", limit, err)
		}
		if limit > highest+60 {
			t.Fatalf("with %d descriptors, of which at most %d are used: %v", limit, highest+1, err)
		}
	}
	if refused == 0 {
		t.Error("there were enough descriptors all the time")
	}
}

func TestSharedAddress(t *testing.T) {
	_, err := Between(2, []string{"a"}, func(i int, _ string) string { return fmt.Sprint("127.0.0.1:", 20000+i) })
	if u := (*network.Unsupported)(nil); !errors.As(err, &u) || !strings.Contains(err.Error(), "share an address") {
		t.Errorf("two nodes with one address: %v", err)
	}
}

func TestTry(t *testing.T) {
	open(t, 1) // or it is impossible
	if err := Try(); err != nil {
		t.Error(err)
	}
}

func BenchmarkSetUp(b *testing.B) {
	for _, nodes := range []int{3, 16, 64} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			for b.Loop() {
				n, err := Between(nodes, []string{"a"}, func(i int, _ string) string { return fmt.Sprintf("127.99.99.%d:9000", i+1) })
				if err != nil {
					b.Skip(err)
				}
				b.StopTimer()
				n.Close()
				b.StartTimer()
			}
		})
	}
}

func BenchmarkCut(b *testing.B) {
	n, err := Between(2, []string{"a"}, func(i int, _ string) string { return fmt.Sprintf("127.99.98.%d:9000", i+1) })
	if err != nil {
		b.Skip(err)
	}
	defer n.Close()
	for b.Loop() {
		n.Set(cutOff(network.Pair{From: 0, To: 1}, network.Pair{From: 1, To: 0}))
		n.Set(nil)
	}
}
