package namespaces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/network"
)

// envNetem is set where the kernel has a netem, so that what it does is tested
// and not skipped.
const envNetem = "DIST_TEST_NETEM"

// first does what is to be done before the tests in a kernel that has just
// started.
func first(modules []string) error {
	for _, m := range modules {
		f, err := os.Open(m)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
			return fmt.Errorf("load %s: %w", m, err)
		}
	}
	s, err := newNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer s.close()
	return s.up(loopback, nil)
}

// openShaped makes networks of nodes whose traffic can be shaped, or skips the
// test.
func openShaped(t *testing.T, nodes int) *Network {
	t.Helper()
	n := open(t, nodes)
	err := n.canShape()
	if err == nil {
		return n
	}
	if os.Getenv(envNetem) != "" {
		t.Fatal(err)
	}
	t.Skipf("nothing can be delayed, slowed down and lost here: %v (runtime/network/namespaces/testdata/netem runs this test in a kernel where it can)", err)
	return nil
}

// bothWays runs a test with either kind of switch.
func bothWays(t *testing.T, test func(t *testing.T)) {
	t.Run("macvlan", test)
	t.Run("bridge", func(t *testing.T) {
		onlyBridge = true
		defer func() { onlyBridge = false }()
		test(t)
	})
}

func (n *Network) mustSet(t *testing.T, m map[network.Pair]network.Condition) {
	t.Helper()
	if err := n.Set(m); err != nil {
		t.Fatal(err)
	}
}

func oneWay(c network.Condition) map[network.Pair]network.Condition {
	return map[network.Pair]network.Condition{{From: 0, To: 1}: c}
}

// A path is a socket of a node that sends to one of another node.
type path struct {
	net.Conn
	to    net.PacketConn
	buf   []byte
	ended uint32 // how often it was flushed
}

func newPath(t *testing.T, from, to *Host) *path {
	t.Helper()
	_, got, err := to.n.ask(request{Op: opSocket, Node: to.node, Type: unix.SOCK_DGRAM})
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(got[0]), "socket")
	defer f.Close()
	if err := unix.Bind(got[0], &unix.SockaddrInet4{Addr: to.addr.As4()}); err != nil {
		t.Fatal(err)
	}
	u, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	c, err := from.Dial(t.Context(), "udp", u.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &path{c, u, make([]byte, 64<<10), 0}
}

// send sends a number, in a datagram of some bytes.
func (p *path) send(t *testing.T, number uint32, size int) {
	t.Helper()
	b := binary.BigEndian.AppendUint32(nil, number)
	if _, err := p.Write(append(b, make([]byte, size-len(b))...)); err != nil {
		t.Fatal(err)
	}
}

// read returns the number that arrives next, before a time.
func (p *path) read(t *testing.T, until time.Time) (number uint32, ok bool) {
	t.Helper()
	p.to.SetReadDeadline(until)
	_, _, err := p.to.ReadFrom(p.buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint32(p.buf), true
}

// ends is the first number of datagrams that are sent until they arrive.
const ends = 1 << 31

// flush returns which numbers arrive, in their order, of those that were sent.
func (p *path) flush(t *testing.T) (arrived []uint32) {
	t.Helper()
	p.ended++
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		p.send(t, ends+p.ended, 4)
		for {
			n, ok := p.read(t, time.Now().Add(5*time.Millisecond))
			if !ok {
				break
			}
			if n == ends+p.ended {
				return arrived
			}
			if n < ends {
				arrived = append(arrived, n)
			}
		}
	}
	t.Fatal("nothing arrives any more")
	return nil
}

// took is how long a datagram is under way.
func (p *path) took(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	p.send(t, 1, 100)
	if _, ok := p.read(t, begin.Add(30*time.Second)); !ok {
		t.Fatal("a datagram did not arrive")
	}
	return time.Since(begin)
}

// answered is how long a line is under way, with its answer.
func (l *line) answered(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	l.say(t, "x")
	l.read(t)
	return time.Since(begin)
}

func TestDelay(t *testing.T) { bothWays(t, testDelay) }

func testDelay(t *testing.T) {
	n := openShaped(t, 3)
	for i := range 3 {
		serve(t, n.Host(i))
	}
	a, b, c := n.Host(0), n.Host(1), n.Host(2)
	ab, ac, cb := dial(t, a, b.at()), dial(t, a, c.at()), dial(t, c, b.at())
	there, back := newPath(t, a, b), newPath(t, b, a)
	const delay = 300 * time.Millisecond // far from what a busy machine takes for anything
	n.mustSet(t, oneWay(network.Condition{Delay: delay}))
	for what, took := range map[string]time.Duration{
		"an answer on a connection that was there": ab.answered(t),
		"a datagram": there.took(t),
	} {
		if took < delay {
			t.Errorf("%s after %v in spite of a delay of %v", what, took, delay)
		}
		t.Logf("%s: %v", what, took)
	}
	begin := time.Now()
	l := dial(t, a, b.at())
	if took := time.Since(begin); took < delay {
		t.Errorf("a new connection after %v in spite of a delay of %v", took, delay)
	}
	// The other direction, and other nodes.
	for what, took := range map[string]func(*testing.T) time.Duration{
		"a datagram back": back.took, "an answer beside the delay": ac.answered, "an answer of the same node": cb.answered,
	} {
		if d := quickest(t, took); d > delay/2 {
			t.Errorf("%s took %v", what, d)
		}
	}
	// What is under way arrives, in its order, and then all is as before.
	for i := range 50 {
		there.send(t, uint32(i), 100)
	}
	begin = time.Now()
	n.mustSet(t, nil)
	t.Logf("the delay ended in %v", time.Since(begin))
	for i := range 50 {
		if got, ok := there.read(t, time.Now().Add(30*time.Second)); !ok || got != uint32(i) {
			t.Fatalf("after the delay: %d, %v instead of %d", got, ok, i)
		}
	}
	for what, took := range map[string]func(*testing.T) time.Duration{"a datagram": there.took, "an answer": l.answered} {
		if d := quickest(t, took); d > delay/2 {
			t.Errorf("%s took %v after the delay", what, d)
		}
	}
	n.mustSet(t, oneWay(network.Condition{Delay: delay}))
	n.mustSet(t, oneWay(network.Condition{Delay: delay / 100}))
	there.took(t) // behind what was under way
	if d := quickest(t, there.took); d < delay/100 || d > delay/2 {
		t.Errorf("a datagram took %v with a delay that is %v", d, delay/100)
	}
}

// quickest is the least of some tries, which is not that of a busy machine.
func quickest(t *testing.T, took func(t *testing.T) time.Duration) time.Duration {
	t.Helper()
	least := took(t)
	for range 9 {
		least = min(least, took(t))
	}
	return least
}

func TestJitter(t *testing.T) {
	n := openShaped(t, 2)
	p := newPath(t, n.Host(0), n.Host(1))
	const delay, jitter, count = 20 * time.Millisecond, 200 * time.Millisecond, 40
	n.mustSet(t, oneWay(network.Condition{Delay: delay, Jitter: jitter}))
	// One after the other: each is late by chance.
	shortest, longest := time.Hour, time.Duration(0)
	for range count {
		took := p.took(t)
		shortest, longest = min(shortest, took), max(longest, took)
	}
	t.Logf("from %v to %v", shortest, longest)
	if shortest < delay {
		t.Errorf("a datagram took %v, with a delay of %v", shortest, delay)
	}
	// By chance, one of 40 million million million tests finds less.
	if longest-shortest < jitter/3 {
		t.Errorf("%d datagrams took from %v to %v, with a jitter of %v", count, shortest, longest, jitter)
	}
	// All at once: in order.
	for i := range uint32(100) {
		p.send(t, i, 100)
	}
	for i := range uint32(100) {
		if got, ok := p.read(t, time.Now().Add(30*time.Second)); !ok || got != i {
			t.Fatalf("%d, %v instead of %d", got, ok, i)
		}
	}
	err := n.Set(oneWay(network.Condition{Jitter: 5 * time.Second}))
	if u := (*network.Unsupported)(nil); !errors.As(err, &u) || !strings.Contains(err.Error(), "4.294s") {
		t.Errorf("a jitter that is too large: %v", err)
	}
}

// lost is which of some datagrams do not arrive.
func lost(t *testing.T, p *path, count int) map[uint32]bool {
	t.Helper()
	m := make(map[uint32]bool)
	for i := 0; i < count; {
		for range 200 { // as many as a socket holds
			m[uint32(i)] = true
			p.send(t, uint32(i), 100)
			i++
		}
		for _, arrived := range p.flush(t) {
			if !m[arrived] {
				t.Fatalf("%d has arrived, which had not been sent, or twice", arrived)
			}
			delete(m, arrived)
		}
	}
	return m
}

func TestLoss(t *testing.T) { bothWays(t, testLoss) }

func testLoss(t *testing.T) {
	n := openShaped(t, 3)
	a, b, c := n.Host(0), n.Host(1), n.Host(2)
	ab, ba, ac, cb := newPath(t, a, b), newPath(t, b, a), newPath(t, a, c), newPath(t, c, b)
	serve(t, b)
	l := dial(t, a, b.at())
	const count, part = 2000, 0.3
	n.mustSet(t, oneWay(network.Condition{Loss: part, Seed: 1}))
	// Six standard deviations: one of 500 million tests sees more.
	deviation := math.Sqrt(count * part * (1 - part))
	got := len(lost(t, ab, count))
	t.Logf("%d of %d", got, count)
	if math.Abs(float64(got)-count*part) > 6*deviation {
		t.Errorf("%d of %d were lost, which is not %v ± %.0f", got, count, count*part, 6*deviation)
	}
	for what, p := range map[string]*path{"back": ba, "beside it": ac, "of another node": cb} {
		if m := lost(t, p, 200); len(m) != 0 {
			t.Errorf("%d were lost %s", len(m), what)
		}
	}
	// A stream loses nothing for good.
	for range 20 {
		l.answered(t)
	}
	n.mustSet(t, oneWay(network.Condition{Loss: 1, Seed: 1}))
	for i := range 100 {
		ab.send(t, uint32(i), 100)
	}
	if got, ok := ab.read(t, time.Now().Add(silence)); ok && got < ends {
		t.Errorf("%d has arrived, although all is lost", got)
	}
	l.say(t, "held up")
	l.quiet(t)
	n.mustSet(t, nil)
	if got := l.read(t); got != "held up" {
		t.Errorf("after all was lost: %q", got)
	}
	if m := lost(t, ab, 200); len(m) != 0 {
		t.Errorf("%d were lost without loss", len(m))
	}
}

// What is lost follows from the seed, where the kernel has one.
func TestSeed(t *testing.T) {
	n := openShaped(t, 2)
	var name unix.Utsname
	var major, minor int
	unix.Uname(&name)
	fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	if major < 6 || major == 6 && minor < 7 {
		t.Skipf("Linux %d.%d gives its netem no seed: 6.7 does", major, minor)
	}
	p := newPath(t, n.Host(0), n.Host(1))
	which := func(seed uint64) string {
		n.mustSet(t, oneWay(network.Condition{Loss: 0.5, Seed: seed}))
		text := []byte(strings.Repeat("+", 100))
		for i := range 100 {
			p.send(t, uint32(i), 100)
		}
		for _, i := range p.flush(t) {
			text[i] = '-'
		}
		n.mustSet(t, nil)
		return string(text)
	}
	first, second, other := which(7), which(7), which(8)
	if first != second || first == other {
		t.Errorf("seed 7: %s\nagain:  %s\nseed 8: %s", first, second, other)
	}
}

func TestBandwidth(t *testing.T) { bothWays(t, testBandwidth) }

func testBandwidth(t *testing.T) {
	n := openShaped(t, 3)
	for i := range 3 {
		serve(t, n.Host(i))
	}
	a, b, c := n.Host(0), n.Host(1), n.Host(2)
	const bandwidth, size, piece = 128 << 10, 256 << 10, 32 << 10
	stream := func(l *line) time.Duration {
		t.Helper()
		text := strings.Repeat("x", piece-1)
		go func() {
			for range size / piece {
				fmt.Fprintln(l, text)
			}
		}()
		begin := time.Now()
		for range size / piece {
			l.read(t)
		}
		return time.Since(begin)
	}
	old := dial(t, a, b.at())
	for range 5 {
		stream(old) // so that it is as fast as it gets
	}
	n.mustSet(t, oneWay(network.Condition{Bandwidth: bandwidth}))
	// A part is there at once: the kernel's packets, and what it takes for them.
	const least, most = 1500 * time.Millisecond, time.Minute
	for what, l := range map[string]*line{"there": old, "new": dial(t, a, b.at())} {
		took := stream(l)
		t.Logf("%d KiB on a connection that is %s: %v", size>>10, what, took)
		if took < least || took > most {
			t.Errorf("%d KiB at %d KiB a second took %v, on a connection that is %s", size>>10, bandwidth>>10, took, what)
		}
	}
	for what, l := range map[string]*line{"beside it": dial(t, a, c.at()), "back": dial(t, b, a.at()), "of another node": dial(t, c, b.at())} {
		if what == "back" {
			continue // its acknowledgements and answers go the slow way
		}
		if took := stream(l); took > least/2 {
			t.Errorf("%d KiB took %v %s", size>>10, took, what)
		}
	}
	// Datagrams: 128 KiB, each of several packets.
	p := newPath(t, a, b)
	n.mustSet(t, oneWay(network.Condition{Bandwidth: bandwidth, Delay: time.Second}))
	begin := time.Now()
	for i := range 32 {
		p.send(t, uint32(i), 4<<10)
	}
	for i := range 32 {
		if got, ok := p.read(t, time.Now().Add(30*time.Second)); !ok || got != uint32(i) {
			t.Fatalf("%d, %v instead of %d", got, ok, i)
		}
	}
	if took := time.Since(begin); took < 1200*time.Millisecond {
		t.Errorf("128 KiB of datagrams took %v", took)
	}
	n.mustSet(t, nil)
	if took := stream(old); took > least/2 {
		t.Errorf("%d KiB took %v after it", size>>10, took)
	}
}

// What was sent across a cut does not arrive later, although it was delayed, and
// a cut is seen at once.
func TestCutAndDelay(t *testing.T) {
	n := openShaped(t, 2)
	serve(t, n.Host(1))
	p, l := newPath(t, n.Host(0), n.Host(1)), dial(t, n.Host(0), n.Host(1).at())
	const delay = 400 * time.Millisecond
	for _, after := range []map[network.Pair]network.Condition{nil, oneWay(network.Condition{Delay: delay})} {
		n.mustSet(t, oneWay(network.Condition{Delay: delay}))
		p.send(t, 1, 100) // before the cut, and not there yet
		n.mustSet(t, oneWay(network.Condition{Delay: delay, Cut: true}))
		p.send(t, 2, 100)
		l.say(t, "across")
		n.mustSet(t, after)
		p.send(t, 3, 100)
		if got, ok := p.read(t, time.Now().Add(30*time.Second)); !ok || got != 3 {
			t.Errorf("%d, %v arrives after the cut", got, ok)
		}
		if got := l.read(t); got != "across" {
			t.Errorf("%q", got)
		}
		n.mustSet(t, nil)
	}
}

// The end of a delay that nobody could wait for is not waited for.
func TestLongDelay(t *testing.T) {
	n := openShaped(t, 2)
	serve(t, n.Host(1))
	p, l := newPath(t, n.Host(0), n.Host(1)), dial(t, n.Host(0), n.Host(1).at())
	n.mustSet(t, oneWay(network.Condition{Delay: time.Hour}))
	p.send(t, 1, 100)
	l.say(t, "late")
	l.quiet(t)
	n.mustSet(t, nil)
	p.send(t, 2, 100)
	if got, ok := p.read(t, time.Now().Add(30*time.Second)); !ok || got != 2 {
		t.Errorf("%d, %v arrives after the delay", got, ok)
	}
	if got := l.read(t); got != "late" {
		t.Errorf("%q", got)
	}
}

// Many conditions at a time, and what they leave behind.
func TestShapeOften(t *testing.T) {
	const nodes = 8
	n := openShaped(t, nodes)
	for range 3 {
		m := make(map[network.Pair]network.Condition)
		for i := range nodes {
			for j := range nodes {
				if i != j {
					m[network.Pair{From: i, To: j}] = network.Condition{Delay: time.Millisecond, Bandwidth: 1 << 20, Loss: 0.1, Cut: (i+j)%3 == 0}
				}
			}
		}
		begin := time.Now()
		n.mustSet(t, m)
		set := time.Since(begin)
		begin = time.Now()
		n.mustSet(t, nil)
		t.Logf("%d conditions in %v, and healed in %v", len(m), set, time.Since(begin))
	}
	p := newPath(t, n.Host(3), n.Host(nodes-1))
	if m := lost(t, p, 200); len(m) != 0 {
		t.Errorf("%d were lost", len(m))
	}
}

func BenchmarkTalk(b *testing.B) {
	n, err := Between(2, []string{"a"}, func(i int, _ string) string { return fmt.Sprintf("127.99.97.%d:9000", i+1) })
	if err != nil {
		b.Skip(err)
	}
	defer n.Close()
	_, got, err := n.ask(request{Op: opSocket, Node: 1, Type: unix.SOCK_STREAM})
	if err != nil {
		b.Fatal(err)
	}
	f := os.NewFile(uintptr(got[0]), "socket")
	defer f.Close()
	unix.Bind(got[0], &unix.SockaddrInet4{Port: 9000})
	unix.Listen(got[0], 10)
	l, err := net.FileListener(f)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			io.Copy(c, c)
		}
	}()
	c, err := n.Host(0).Dial(b.Context(), "tcp", n.Host(1).at())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{64, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			buf := make([]byte, size)
			for b.Loop() {
				go c.Write(buf)
				if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
