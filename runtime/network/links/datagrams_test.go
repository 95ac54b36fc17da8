//go:build linux

package links

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/network"
)

// sender is a node that sends each line that it is told to as a datagram, from a
// socket of its own, and prints the answers.
func sender(addr string) int {
	c, err := net.Dial("udp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		for buf := make([]byte, maxDatagram); ; {
			if n, err := c.Read(buf); err == nil {
				fmt.Printf("%s\n", buf[:n])
			}
		}
	}()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		c.Write(in.Bytes())
	}
	return 0
}

// bind binds what a node of a world binds, for datagrams.
func (w *world) bind(node int) *net.UDPConn {
	w.t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addrPort(w.nodes[node].Addr())))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// client is a socket that sends to a node only, from a port by chance.
func (w *world) client(node int) *net.UDPConn {
	w.t.Helper()
	c, err := net.Dial("udp4", w.addrs[node])
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.UDPConn)
}

func (w *world) addr(node int) netip.AddrPort { return netip.MustParseAddrPort(w.addrs[node]) }

func post(t *testing.T, c *net.UDPConn, text string, to netip.AddrPort) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

// get returns where a datagram comes from, which must be the next one.
func get(t *testing.T, c *net.UDPConn, want string) netip.AddrPort {
	t.Helper()
	buf := make([]byte, maxDatagram)
	n, from, err := c.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != want {
		t.Fatalf("%.40q, %v; want %.40q", buf[:n], err, want)
	}
	return from
}

// until waits for something that a Network has.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for begin := time.Now(); ; runtime.Gosched() {
		w.Network.mu.Lock()
		ok := holds()
		w.Network.mu.Unlock()
		if ok {
			return
		}
		if time.Since(begin) > patience {
			w.t.Fatal("never: ", what)
		}
	}
}

// Nodes that send from what they bind see each other's addresses, and nothing of
// what is in between.
func TestDatagramsBetweenNodes(t *testing.T) {
	w := newWorld(t, 3)
	a, b, c := w.bind(0), w.bind(1), w.bind(2)
	large := strings.Repeat("x", 60_000)
	for _, text := range []string{"hello", "", large} {
		post(t, a, text, w.addr(1))
		if from := get(t, b, text); from != w.addr(0) {
			t.Fatalf("from %v, not from %v", from, w.addr(0))
		}
		post(t, b, "to "+text, w.addr(0))
		if from := get(t, a, "to "+text); from != w.addr(1) {
			t.Fatalf("from %v, not from %v", from, w.addr(1))
		}
	}
	post(t, c, "third", w.addr(1))
	if from := get(t, b, "third"); from != w.addr(2) {
		t.Fatalf("from %v", from)
	}
	post(t, c, "myself", w.addr(2))
	get(t, c, "myself")
	if w.only().conn != nil {
		t.Error("a socket of its own")
	}
	w.set(both)
	post(t, a, "lost", w.addr(1))
	post(t, b, "lost", w.addr(0))
	silent(t, a)
	silent(t, b)
	post(t, a, "within", w.addr(2))
	get(t, c, "within")
	w.set(map[network.Pair]network.Condition{there: cut})
	post(t, a, "lost", w.addr(1))
	silent(t, b)
	post(t, b, "one way", w.addr(0))
	get(t, a, "one way")
	w.set(nil)
	post(t, a, "healed", w.addr(1))
	get(t, b, "healed") // and none of those before
	// What is sent across a cut stays lost, however soon that ends.
	for i := range 100 {
		w.set(both)
		post(t, a, "lost", w.addr(1))
		w.set(nil)
		text := fmt.Sprint("healed ", i)
		post(t, a, text, w.addr(1))
		get(t, b, text)
	}
}

// The very first datagram between the nodes stays lost, too.
func TestFirstDatagramIsLost(t *testing.T) {
	for i := range 20 {
		w := newWorld(t, 2)
		a, b := w.bind(0), w.bind(1)
		w.set(both)
		post(t, a, "lost", w.addr(1))
		w.set(nil)
		text := fmt.Sprint("healed ", i)
		post(t, a, text, w.addr(1))
		get(t, b, text)
	}
}

// Any other socket of a node is told apart by whose it is, and hears answers
// from where it has sent to.
func TestDatagramsFromAnySocket(t *testing.T) {
	w := newWorld(t, 2)
	b := w.bind(1)
	one, two := w.client(1), w.client(1)
	for range 2 {
		say(t, one, "one")
		from := get(t, b, "one")
		say(t, two, "two")
		other := get(t, b, "two")
		if from == other {
			t.Error("two sockets look as one")
		}
		post(t, b, "to two", other)
		post(t, b, "to one", from)
		get(t, one, "to one")
		get(t, two, "to two")
		w.set(both)
		say(t, one, "lost")
		post(t, b, "lost", other)
		silent(t, b)
		silent(t, two)
		w.set(nil)
	}
}

// A process is started, which is a node only when the next fault begins.
func TestDatagramsOfAnotherProcess(t *testing.T) {
	w := newWorld(t, 3)
	b := w.bind(1)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LINKS_DIAL="+w.addrs[1], "LINKS_UDP=1")
	in, _ := cmd.StdinPipe()
	pipe, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	out := bufio.NewReader(pipe)
	io.WriteString(in, "before\n")
	from := get(t, b, "before")
	if w.only().from != foreign {
		t.Errorf("from %d", w.only().from)
	}
	w.mu.Lock()
	w.pids[2] = cmd.Process.Pid
	w.mu.Unlock()
	w.set(map[network.Pair]network.Condition{{From: 1, To: 2}: cut})
	io.WriteString(in, "there\n")
	get(t, b, "there")
	post(t, b, "lost", from)
	down := w.only().down
	w.until("it is lost", func() bool {
		down.mu.Lock()
		defer down.mu.Unlock()
		return down.lost == 1
	})
	w.set(map[network.Pair]network.Condition{{From: 2, To: 1}: cut})
	io.WriteString(in, "lost\n")
	silent(t, b)
	post(t, b, "back", from)
	if line, err := out.ReadString('\n'); err != nil || line != "back\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// only is the flow of a world that has one.
func (w *world) only() *flow {
	w.Network.mu.Lock()
	defer w.Network.mu.Unlock()
	for _, f := range w.flows {
		return f
	}
	return nil
}

func TestLoss(t *testing.T) {
	const count = 150 // fits into any socket's buffer
	w := newWorld(t, 2)
	lossy := func(seed uint64) map[network.Pair]network.Condition {
		return map[network.Pair]network.Condition{there: {Loss: 0.3, Seed: seed}}
	}
	// Nobody to lose anything yet.
	w.pair(1)
	var u *network.Unsupported
	if err := w.Set(lossy(1)); !errors.As(err, &u) || u.Fault != "packet loss" {
		t.Fatalf("%v", err)
	}
	a, b := w.bind(0), w.bind(1)
	arrive := func(seed uint64) (all []string) {
		w.set(lossy(seed))
		for i := range count {
			post(t, a, fmt.Sprint(i), w.addr(1))
		}
		buf := make([]byte, 100)
		for {
			post(t, a, "end", w.addr(1)) // until one is not lost
			for {
				b.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				n, err := b.Read(buf)
				if err != nil {
					break
				}
				all = append(all, string(buf[:n]))
			}
			if i := slices.Index(all, "end"); i >= 0 {
				w.set(nil)
				return all[:i]
			}
		}
	}
	one, two, again := arrive(1), arrive(2), arrive(1)
	if n := len(one); n < count/2 || n > count*9/10 {
		t.Errorf("%d of %d have arrived", n, count)
	}
	if !slices.Equal(one, again) {
		t.Errorf("with the same seed:\n%v\n%v", one, again)
	}
	if slices.Equal(one, two) {
		t.Error("two seeds lose the same")
	}
	w.set(map[network.Pair]network.Condition{there: {Loss: 1}})
	post(t, a, "lost", w.addr(1))
	b.SetDeadline(time.Now().Add(patience))
	silent(t, b)
	post(t, b, "the other way", w.addr(0))
	get(t, a, "the other way")
	// Streams go on.
	client, server := w.pair(1)
	say(t, client, "stream")
	hear(t, server, "stream")
}

func TestDatagramsAreDelayed(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.bind(0), w.bind(1)
	const delay = 30 * time.Millisecond
	w.set(map[network.Pair]network.Condition{there: {Delay: delay, Jitter: delay}})
	begin := time.Now()
	for i := range 20 {
		post(t, a, fmt.Sprint(i), w.addr(1))
	}
	for i := range 20 {
		get(t, b, fmt.Sprint(i)) // in order
	}
	if took := time.Since(begin); took < delay {
		t.Errorf("after %v", took)
	}
	// Twenty times a thousand bytes, of which one second takes 100,000.
	w.set(map[network.Pair]network.Condition{there: {Bandwidth: 100_000, Delay: time.Second}})
	begin = time.Now()
	for range 20 {
		post(t, a, strings.Repeat("x", 1000), w.addr(1))
	}
	w.until("all are under way", func() bool { return len(w.queue()) == 20 })
	if q := w.held(); q[19].due.Sub(begin) < 1200*time.Millisecond {
		t.Errorf("the last one arrives after %v", q[19].due.Sub(begin))
	}
	// What is under way arrives at once where the delay ends,
	w.set(nil)
	for range 20 {
		get(t, b, strings.Repeat("x", 1000))
	}
	// and never after a cut.
	w.set(map[network.Pair]network.Condition{there: {Delay: time.Hour}})
	post(t, a, "lost", w.addr(1))
	w.until("it is under way", func() bool { return len(w.queue()) == 1 })
	w.set(both)
	w.set(nil)
	post(t, a, "next", w.addr(1))
	get(t, b, "next")
	// A queue has an end.
	w.set(map[network.Pair]network.Condition{there: {Bandwidth: 1000}})
	for range 20 {
		post(t, a, strings.Repeat("y", 1000), w.addr(1))
	}
	post(t, b, "all sent", w.addr(0))
	get(t, a, "all sent")
	if q := w.held(); len(q) > 1 {
		t.Errorf("%d datagrams of a second each are under way", len(q))
	}
}

func (w *world) held() []parcel {
	w.Network.mu.Lock()
	defer w.Network.mu.Unlock()
	return w.queue()
}

// queue is what is held back from node 0 to node 1.
func (w *world) queue() []parcel {
	for k, f := range w.flows {
		if k.box.node == 1 {
			f.up.mu.Lock()
			defer f.up.mu.Unlock()
			return slices.Clone(f.up.queue)
		}
	}
	return nil
}

func TestFlowsEnd(t *testing.T) {
	w := newWorld(t, 2)
	w.Network.mu.Lock()
	w.idle = 5 * time.Millisecond
	w.Network.mu.Unlock()
	b := w.bind(1)
	c := w.client(1)
	for range 2 {
		say(t, c, "hello")
		get(t, b, "hello")
		w.until("the flow ends", func() bool { return w.sockets == 0 && len(w.flows) == 0 && !w.sweeper })
	}
}

// A sender that takes a new socket for each question does not use up the test's.
func TestFlowsAreBounded(t *testing.T) {
	w := newWorld(t, 2)
	w.bind(0) // or a sender may happen to get its port, and be taken for it
	b := w.bind(1)
	for i := range maxSockets + 10 {
		c, err := net.Dial("udp4", w.addrs[1])
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		say(t, c, fmt.Sprint(i))
		post(t, b, "yes", get(t, b, fmt.Sprint(i)))
		hear(t, c, "yes")
		c.Close()
	}
	w.until("few are left", func() bool { return w.sockets == maxSockets && len(w.flows) == maxSockets })
}

func TestNoSocketLeft(t *testing.T) {
	w := newWorld(t, 2)
	b, c := w.bind(1), w.client(1)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	none := was
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	say(t, c, "lost")
	w.until("it is noticed", func() bool { return w.failed != nil })
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := w.Set(nil); err == nil || !strings.Contains(err.Error(), "to node-2 were lost: no socket is left for them") || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("%v", err)
	}
	w.set(nil) // told once
	say(t, c, "hello")
	get(t, b, "hello")
}

func TestDatagramsGoPastTheLinks(t *testing.T) {
	w := newWorld(t, 2)
	b := w.bind(1)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LINKS_DIAL="+w.nodes[1].Addr().String(), "LINKS_UDP=1")
	in, _ := cmd.StdinPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	w.mu.Lock()
	w.pids[0] = cmd.Process.Pid
	w.mu.Unlock()
	io.WriteString(in, "past\n")
	get(t, b, "past")
	if err := w.Set(both); err == nil || !strings.Contains(err.Error(), "node-1 has a connection to node-2 that goes past the links") {
		t.Errorf("%v", err)
	}
}

// Who has no descriptor left to look whose a socket is does not take it for a
// stranger's, which nothing is ever cut for.
func TestNoDescriptorToLookWith(t *testing.T) {
	w := newWorld(t, 2)
	c := w.client(1)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	none := was
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	for _, pids := range [][]int{{os.Getpid()}, {1}, nil} {
		if i := w.finder.find(udp, c.LocalAddr().(*net.UDPAddr).AddrPort(), w.addr(1), pids); i != unknown {
			t.Errorf("among %v: %d", pids, i)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if i := w.finder.find(udp, c.LocalAddr().(*net.UDPAddr).AddrPort(), w.addr(1), []int{1, os.Getpid()}); i != 1 {
		t.Errorf("%d", i)
	}
}
