// Package mix is what the torture runs: tests that do random things with their
// clusters and check every result. By itself it is a package whose tests pass.
package mix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// patience is how long what must succeed may take, on any machine.
const patience = 90 * time.Second

// What the torture says to these tests.
const (
	EnvSeed   = "TORTURE_SEED"
	EnvRecord = "TORTURE_RECORD" // file that tests which had their cluster are noted in
	EnvSteps  = "TORTURE_STEPS"
)

// Wrong begins what a test says of a result that no fault explains.
const Wrong = "WRONG: "

func init() {
	dist.Register(sum)
	dist.Register(reverse)
	dist.Register(index)
	dist.Register(wait)
	dist.Register(fail)
	dist.Register(eof)
	dist.Register(boom)
	dist.Register(count)
	dist.Register(arrive)
	dist.Register(stray)
	dist.Register(keep)
	dist.Register(serve)
	dist.Register(ping)
}

func sum(_ context.Context, n []int) (int, error) {
	s := 0
	for _, x := range n {
		s += x
	}
	return s, nil
}

func reverse(_ context.Context, b []byte) ([]byte, error) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b, nil
}

func index(ctx context.Context, _ struct{}) (int, error) { return dist.Self(ctx).Index(), nil }

func wait(ctx context.Context, _ struct{}) (struct{}, error) {
	<-ctx.Done()
	return struct{}{}, ctx.Err()
}

func fail(_ context.Context, text string) (struct{}, error) { return struct{}{}, errors.New(text) }

func eof(context.Context, struct{}) (struct{}, error) { return struct{}{}, io.EOF }

func boom(_ context.Context, text string) (struct{}, error) { panic(text) }

var counts struct {
	sync.Mutex
	n int
}

// count says how often this process was asked.
func count(context.Context, struct{}) (int, error) {
	counts.Lock()
	defer counts.Unlock()
	counts.n++
	return counts.n, nil
}

func arrive(ctx context.Context, name string) (struct{}, error) {
	return struct{}{}, dist.Self(ctx).Barrier(ctx, name)
}

// keep writes what it is given to the node's directory, and returns what was
// there.
func keep(ctx context.Context, text string) (string, error) {
	name := filepath.Join(dist.Self(ctx).Dir(), "kept")
	before, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	return string(before), os.WriteFile(name, []byte(text), 0o600)
}

var served struct {
	sync.Mutex
	on bool
}

// serve has the node answer everybody who connects with its name.
func serve(ctx context.Context, _ struct{}) (struct{}, error) {
	served.Lock()
	defer served.Unlock()
	if served.on {
		return struct{}{}, nil
	}
	s := dist.Self(ctx)
	ln, err := s.Listen("a")
	if err != nil {
		return struct{}{}, err
	}
	served.on = true
	s.Cleanup(func() {
		served.Lock()
		defer served.Unlock()
		served.on = false
	})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				io.WriteString(c, s.Name())
			}()
		}
	}()
	return struct{}{}, nil
}

// ping asks another node for its name.
func ping(ctx context.Context, to int) (string, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", dist.Self(ctx).Addrs("a")[to])
	if err != nil {
		return "", err
	}
	defer c.Close()
	if d, ok := ctx.Deadline(); ok {
		c.SetDeadline(d)
	}
	b, err := io.ReadAll(c)
	if err == nil && len(b) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return string(b), err
}

// A mixer does random things with one test's cluster.
type mixer struct {
	*testing.T
	c *dist.Cluster
	r *rand.Rand
}

// Rand is this test's random numbers: the same for the same TORTURE_SEED.
func Rand(t *testing.T) *rand.Rand {
	seed, _ := strconv.ParseUint(os.Getenv(EnvSeed), 10, 64)
	h := fnv.New64a()
	io.WriteString(h, t.Name())
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func steps() int {
	if n, err := strconv.Atoi(os.Getenv(EnvSteps)); err == nil {
		return n
	}
	return 6
}

// Run does random things with a cluster of the test binary, and checks what
// comes of them. The nodes have the port a if ports says so.
func Run(t *testing.T, c *dist.Cluster, ports bool) {
	m := &mixer{t, c, Rand(t)}
	all := []func(*dist.Node){
		m.sum, m.sum, m.reverse, m.everywhere, m.many, m.canceled, m.failing, m.panicking,
		m.killed, m.killedInCall, m.stopped, m.paused, m.barrier, m.strayed, m.kept,
	}
	if ports && c.Size() > 1 {
		all = append(all, m.parted, m.parted)
	}
	for range steps() {
		all[m.r.IntN(len(all))](c.Node(m.r.IntN(c.Size())))
		if t.Failed() {
			t.FailNow() // what comes after may be its consequence
		}
	}
	m.everywhere(nil)
	Record(t, c)
}

// Record notes that a test had its cluster, and nothing to complain of.
func Record(t *testing.T, c *dist.Cluster) {
	name := os.Getenv(EnvRecord)
	if name == "" || t.Failed() {
		return
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s %s %d\n", t.Name(), c.ID(), c.Size())
		f.Close()
	}
	if err != nil {
		t.Fatalf("note that the test had its cluster: %v", err)
	}
}

func (m *mixer) wrong(format string, args ...any) {
	m.Helper()
	m.Fatalf(Wrong+format, args...)
}

func within(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}

// call is a Call that has no reason to fail but that its node is gone.
func call[In, Out any](m *mixer, n *dist.Node, fn func(context.Context, In) (Out, error), in In) Out {
	m.Helper()
	ctx, cancel := within(m.T)
	defer cancel()
	out, err := dist.Call(ctx, n, fn, in)
	if err != nil {
		m.Fatal(err)
	}
	return out
}

func (m *mixer) sum(n *dist.Node) {
	in, want := make([]int, m.r.IntN(50)), 0
	for i := range in {
		in[i] = m.r.IntN(1000)
		want += in[i]
	}
	if got := call(m, n, sum, in); got != want {
		m.wrong("sum of %v is %d, not %d", in, want, got)
	}
}

func (m *mixer) reverse(n *dist.Node) {
	in := make([]byte, m.r.IntN(1<<18))
	for i := range in {
		in[i] = byte(m.r.Uint32())
	}
	got := call(m, n, reverse, in)
	want, _ := reverse(nil, bytes.Clone(in))
	if !bytes.Equal(got, want) {
		m.wrong("%d bytes came back as %d other ones", len(in), len(got))
	}
}

func (m *mixer) everywhere(*dist.Node) {
	ctx, cancel := within(m.T)
	defer cancel()
	got, err := dist.CallAll(ctx, m.c, index, struct{}{})
	if err != nil {
		m.Fatal(err)
	}
	for i, g := range got {
		if i != g || len(got) != m.c.Size() {
			m.wrong("the nodes' places are %v", got)
		}
	}
}

func (m *mixer) many(*dist.Node) {
	ctx, cancel := within(m.T)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 16 {
		n := m.c.Node(m.r.IntN(m.c.Size()))
		wg.Go(func() {
			if got, err := dist.Call(ctx, n, sum, []int{i, i}); err != nil {
				m.Error(err)
			} else if got != 2*i {
				m.Errorf(Wrong+"twice %d is not %d", i, got)
			}
		})
	}
	wg.Wait()
}

func (m *mixer) canceled(n *dist.Node) {
	ctx, cancel := context.WithTimeout(m.Context(), time.Duration(1+m.r.IntN(5))*time.Millisecond)
	defer cancel()
	if _, err := dist.Call(ctx, n, wait, struct{}{}); !errors.Is(err, context.DeadlineExceeded) {
		m.lost("wait longer than there is time", err)
	}
}

// lost accepts nothing but that the node was gone, which the test then says.
func (m *mixer) lost(what string, err error) {
	m.Helper()
	if _, ok := errors.AsType[*dist.LostError](err); ok {
		m.Fatal(err)
	}
	m.wrong("%s: %v", what, err)
}

func (m *mixer) failing(n *dist.Node) {
	ctx, cancel := within(m.T)
	defer cancel()
	text := fmt.Sprint("no such luck ", m.r.Uint64())
	_, err := dist.Call(ctx, n, fail, text)
	if remote, ok := errors.AsType[*dist.RemoteError](err); !ok || !bytes.Contains([]byte(remote.Error()), []byte(text)) {
		m.lost("fail with "+text, err)
	}
	if _, err := dist.Call(ctx, n, eof, struct{}{}); !errors.Is(err, io.EOF) {
		m.lost("end of file", err)
	}
}

func (m *mixer) panicking(n *dist.Node) {
	ctx, cancel := within(m.T)
	defer cancel()
	_, err := dist.Call(ctx, n, boom, "as intended")
	if _, ok := errors.AsType[*dist.PanicError](err); !ok {
		m.lost("panic", err)
	}
	m.sum(n)
}

// again starts a node that was ended, and makes sure that it is a new one.
func (m *mixer) again(n *dist.Node) {
	m.Helper()
	ctx, cancel := within(m.T)
	defer cancel()
	if n.Restart(ctx) != nil {
		m.FailNow() // has told
	}
	if got := call(m, n, count, struct{}{}); got != 1 {
		m.wrong("a node that was restarted has been called %d times", got)
	}
}

func (m *mixer) killed(n *dist.Node) {
	call(m, n, count, struct{}{})
	if n.Kill() != nil {
		m.FailNow()
	}
	ctx, cancel := within(m.T)
	defer cancel()
	_, err := dist.Call(ctx, n, count, struct{}{})
	if _, ok := errors.AsType[*dist.LostError](err); !ok {
		m.wrong("call a node that was killed: %v", err)
	}
	if n.Running() {
		m.wrong("a node that was killed is running")
	}
	m.again(n)
}

func (m *mixer) killedInCall(n *dist.Node) {
	ctx, cancel := within(m.T)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := dist.Call(ctx, n, wait, struct{}{})
		ended <- err
	}()
	if m.r.IntN(2) == 0 {
		m.sum(n) // so that the call is there, or nearly
	}
	if n.Kill() != nil {
		m.FailNow()
	}
	err := <-ended
	if _, ok := errors.AsType[*dist.LostError](err); !ok {
		m.wrong("a call to a node that is killed: %v", err)
	}
	m.again(n)
}

func (m *mixer) stopped(n *dist.Node) {
	call(m, n, count, struct{}{})
	if m.r.IntN(2) == 0 {
		ctx, cancel := within(m.T)
		defer cancel()
		if n.Stop(ctx) != nil {
			m.FailNow()
		}
		if n.Running() {
			m.wrong("a node that was stopped is running")
		}
	}
	m.again(n)
}

func (m *mixer) paused(n *dist.Node) {
	if n.Pause() != nil {
		m.FailNow()
	}
	ctx, cancel := context.WithTimeout(m.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := dist.Call(ctx, n, index, struct{}{}); !errors.Is(err, context.DeadlineExceeded) {
		m.lost("call a node that is paused", err)
	}
	if n.Resume() != nil {
		m.FailNow()
	}
	if got := call(m, n, index, struct{}{}); got != n.Index() {
		m.wrong("node %d says it is %d", n.Index(), got)
	}
}

func (m *mixer) barrier(*dist.Node) {
	ctx, cancel := within(m.T)
	defer cancel()
	name := fmt.Sprint("b", m.r.IntN(3))
	if _, err := dist.CallAll(ctx, m.c, arrive, name); err != nil {
		m.Fatal(err)
	}
}

func (m *mixer) strayed(n *dist.Node) {
	pid := call(m, n, stray, struct{}{})
	if m.r.IntN(2) == 0 {
		return
	}
	if err := lives(pid); err != nil {
		m.wrong("what a node started is gone: %v", err)
	}
}

func (m *mixer) kept(n *dist.Node) {
	text := fmt.Sprint(m.r.Uint64())
	call(m, n, keep, text)
	m.stopped(n)
	if got := call(m, n, keep, text); got != text {
		m.wrong("a node's directory had %q before it was restarted, and has %q", text, got)
	}
}

func (m *mixer) parted(n *dist.Node) {
	ctx, cancel := within(m.T)
	defer cancel()
	if _, err := dist.CallAll(ctx, m.c, serve, struct{}{}); err != nil {
		m.Fatal(err)
	}
	other := m.c.Node((n.Index() + 1 + m.r.IntN(m.c.Size()-1)) % m.c.Size())
	reach := func(from, to *dist.Node, limit time.Duration) (string, error) {
		ctx, cancel := context.WithTimeout(m.Context(), limit)
		defer cancel()
		return dist.Call(ctx, from, ping, to.Index())
	}
	if got, err := reach(n, other, patience); err != nil {
		m.Fatal(err)
	} else if got != other.Name() {
		m.wrong("%s says it is %q", other.Name(), got)
	}
	if m.c.Isolate(n) != nil {
		m.FailNow()
	}
	for _, way := range [][2]*dist.Node{{n, other}, {other, n}} {
		got, err := reach(way[0], way[1], 20*time.Millisecond)
		if err == nil {
			m.wrong("%s was isolated, and %s had %q from %s", n.Name(), way[0].Name(), got, way[1].Name())
		}
		if _, ok := errors.AsType[*dist.LostError](err); ok {
			m.Fatal(err)
		}
	}
	if m.c.Heal() != nil {
		m.FailNow()
	}
	if got, err := reach(other, n, patience); err != nil {
		m.Fatal(err)
	} else if got != n.Name() {
		m.wrong("%s says it is %q", n.Name(), got)
	}
}
