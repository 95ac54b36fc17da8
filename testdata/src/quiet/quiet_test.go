package quiet

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clustertest"
	"github.com/distkit/dist"
)

const size = 3

var (
	rounds = flag.Int("rounds", 3, "rounds of chaos")
	logger = log.New(io.Discard, "", 0)
	setUp  string
)

type withSetUp struct{ *testing.M }

func (m withSetUp) Run() int {
	dir, err := os.MkdirTemp("", "quiet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	setUp = dir
	logger.SetOutput(os.Stderr)
	return m.M.Run()
}

func TestMain(m *testing.M) { os.Exit(dist.Main(withSetUp{m})) }

// A harness is what tests of such systems have.
type harness struct {
	t   testing.TB
	c   *dist.Cluster
	ids []string
	mu  sync.Mutex
	log []string
}

func newHarness(t testing.TB, opts ...dist.Option) *harness { // want newHarness:"requires"
	t.Helper()
	h := &harness{t: t, c: dist.Require(t, opts...)}
	peers := make(map[string]string)
	for i, addr := range h.c.Addrs("raft") {
		peers[fmt.Sprint(i)] = addr
	}
	ids, err := dist.CallAll(context.Background(), h.c, startReplica, Config{Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	h.ids = ids
	t.Cleanup(h.stop)
	return h
}

func (h *harness) stop() {
	for _, n := range h.c.Nodes() {
		if n.Running() {
			n.Stop(context.Background())
		}
	}
}

func (h *harness) put(i int, k, v string) {
	h.t.Helper()
	if _, err := dist.Call(context.Background(), h.c.Node(i%h.c.Size()), put, [2]string{k, v}); err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, k)
}

func (h *harness) eventually(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	h.t.Fatalf("%s did not happen", what)
}

//dist:nodes=3 ports=raft
func TestPut(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for i := range 10 {
		h.put(i, fmt.Sprint(i), "v")
	}
	h.eventually("replication", func() bool {
		for _, n := range h.c.Nodes() {
			if v, err := dist.Call(t.Context(), n, get, "9"); err != nil || v != "v" {
				return false
			}
		}
		return true
	})
	if setUp == "" {
		t.Error("not set up")
	}
}

//dist:nodes=5 ports=raft
func TestSizes(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, dist.Nodes(n), dist.Ports("raft"))
			h.put(n-1, "k", "v")
			if got := h.c.Node(n - 1); !got.Running() {
				t.Error("gone")
			}
		})
	}
}

func TestRoles(t *testing.T) {
	h := newHarness(t, dist.Nodes(size), dist.Ports("raft"))
	leader, followers := h.c.Node(0), h.c.Nodes()[1:]
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	for i := range size - 1 {
		if _, err := dist.Call(t.Context(), followers[i], waitApplied, 1); err != nil {
			t.Fatal(err)
		}
		_ = h.c.Node(i + 1)
	}
	next := h.c.Node((leaderOf(h.c) + 1) % h.c.Size())
	if _, err := dist.Call(t.Context(), next, crash, 3); err == nil {
		t.Error("it lives")
	}
}

func leaderOf(c *dist.Cluster) int { return slices.IndexFunc(c.Nodes(), (*dist.Node).Running) }

// Chaos in the background, ended in all the usual ways.

//dist:nodes=3 ports=raft
func TestChaos(t *testing.T) {
	h := newHarness(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		chaos(ctx, h.c)
	}()
	go func() {
		defer wg.Done()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Millisecond):
			}
			h.c.Node(rand.Intn(h.c.Size())).Pause()
		}
	}()
	for range *rounds {
		h.put(0, "k", "v")
	}
	cancel()
	wg.Wait()
}

func chaos(ctx context.Context, c *dist.Cluster) { // want chaos:"kills a node"
	for ctx.Err() == nil {
		c.Node(0).Kill()
	}
}

func TestStopChannel(t *testing.T) {
	c := dist.Require(t, dist.Nodes(size))
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if err := c.Node(0).Pause(); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	t.Cleanup(func() { <-done })
	close(stop)
}

func TestBlockedCall(t *testing.T) {
	c := dist.Require(t, dist.Nodes(1))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	errc := make(chan error)
	go func() {
		_, err := dist.Call(ctx, c.Node(0), hold, struct{}{})
		errc <- err
	}()
	if err := <-errc; err == nil {
		t.Error("no error")
	}
}

func TestValues(t *testing.T) {
	c := dist.Require(t, dist.Nodes(2), dist.Min(1))
	n := c.Node(0)
	ctx := t.Context()
	if p, err := dist.Call(ctx, n, log2, 7); err != nil || p.Items[0].Index != 7 {
		t.Error(p, err)
	}
	dist.Call(ctx, n, version, Version{1, 2})
	dist.Call(ctx, n, echo[time.Time], time.Now())
	dist.Call(ctx, n, echo, map[string][]Entry{"a": nil})
	dist.Call(ctx, n, echo, &Config{ID: "x"})
	dist.Call(ctx, n, echo, [4]byte{})
	dist.Call(ctx, n, dial, "127.0.0.1:1")
	if c.Size() > 1 {
		c.Node(1).Kill()
	}
}

// Tests that share a program's cluster look, and do not touch.

//dist:nodes=3 program=etcd shared
func TestSharedReads(t *testing.T) {
	c := dist.Require(t)
	for i, a := range c.Addrs("client") {
		if !strings.Contains(a, ":") || !c.Node(i).Running() {
			t.Errorf("node %d: %s", i, a)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	h := newHarness(b, dist.Nodes(size), dist.Ports("raft"))
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		h.put(i, "k", "v")
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			dist.Call(context.Background(), h.c.Node(0), get, "k")
		}
	})
}

func FuzzPut(f *testing.F) {
	h := newHarness(f, dist.Nodes(1), dist.Ports("raft"))
	f.Add("k", "v")
	f.Fuzz(func(t *testing.T, k, v string) {
		if _, err := dist.Call(t.Context(), h.c.Node(0), put, [2]string{k, v}); err != nil {
			t.Error(err)
		}
	})
}

// A suite, as packages for such have them.
type kvSuite struct {
	T *testing.T
	c *dist.Cluster
}

func (s *kvSuite) SetupTest() { s.c = dist.Require(s.T, dist.Nodes(size), dist.Reuse()) } // want SetupTest:"requires"

func (s *kvSuite) TestKill() { s.c.Node(2).Kill() } // want TestKill:"kills a node"

func runSuite(t *testing.T, s interface{ SetupTest() }) { s.SetupTest() }

//dist:nodes=3 reuse
func TestSuite(t *testing.T) {
	runSuite(t, &kvSuite{T: t})
}

func restarts(t *testing.T) { dist.Require(t) } // want restarts:"requires"

// Scenarios may be registered.
var registered = make(map[string]func(t *testing.T))

func init() { // want init:"requires"
	registered["start"] = func(t *testing.T) { dist.Require(t) }
	registered["restart"] = restarts
	func() { registered["stop"] = nil }()
}

// Subtests have clusters of their own, and with these ports.
func TestPortsOfSubtests(t *testing.T) {
	t.Run("raft", func(t *testing.T) {
		c := dist.Require(t, dist.Nodes(3), dist.Ports("raft"))
		t.Log(c.Node(0).Addr("raft"))
	})
	t.Run("http", func(t *testing.T) {
		c := dist.Require(t, dist.Nodes(3), dist.Ports("http"))
		t.Log(c.Addrs("http"))
	})
}

func TestProgramOfSubtests(t *testing.T) {
	t.Run("kv", func(t *testing.T) {
		c := dist.Require(t, dist.Nodes(3), dist.Program("kv"))
		t.Log(c.Node(0).Addr("client"))
	})
	t.Run("http", func(t *testing.T) {
		c := dist.Require(t, dist.Nodes(3), dist.Ports("http"))
		t.Log(c.Addrs("http"))
	})
}

// What a subtest leases for the test around it lasts.
func TestOuter(t *testing.T) {
	var c *dist.Cluster
	t.Run("start", func(*testing.T) {
		c = dist.Require(t, dist.Nodes(3))
	})
	t.Run("use", func(t *testing.T) {
		t.Log(c.Size())
	})
}

func TestOptional(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	c := dist.Require(t, dist.Nodes(64), dist.Min(2), dist.Optional(), dist.Timeout(time.Minute))
	for i := range c.Size() {
		go func() {}()
		if i > 0 {
			c.Node(i - 1).Kill()
		}
	}
}

// Subtests that a table of the package has, or a registry.

type scenario struct {
	name string
	run  func(t *testing.T)
}

var scenarios = []scenario{
	{"one", func(t *testing.T) { dist.Require(t, dist.Nodes(1)).Node(0).Kill() }},
	{"all", testAll},
}

func testAll(t *testing.T) { dist.Require(t, dist.Ports("raft")).Addrs("raft") } // want testAll:"requires"

//dist:nodes=3
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, s.run)
	}
}

//dist:nodes=3
func TestScenariosByHelper(t *testing.T) { runAll(t, scenarios) }

func runAll(t *testing.T, all []scenario) {
	for _, s := range all {
		t.Run(s.name, s.run)
	}
}

//dist:nodes=3
func TestRegistry(t *testing.T) {
	clustertest.Each(func(name string, run func(t *testing.T)) { t.Run(name, run) })
}

//dist:nodes=3
func TestRegistryOfAny(t *testing.T) {
	for name, v := range registry {
		if run, ok := v.(func(*testing.T)); ok {
			t.Run(name, run)
		}
	}
}

var registry = map[string]any{"all": testAll}

//dist:nodes=3
func TestTableElsewhere(t *testing.T) { clustertest.RunAll(t, byName) }

var byName = map[string]func(*testing.T){"all": testAll}

//dist:nodes=3
func TestCase(t *testing.T) {
	for _, c := range []interface{ Run(t *testing.T) }{killCase{}} {
		t.Run("", c.Run)
	}
}

type killCase struct{}

func (killCase) Run(t *testing.T) { dist.Require(t).Node(0).Kill() } // want Run:"requires" Run:"kills a node"

// Subtests that ask for ports of their own, and one for a program's.

func TestPortsEach(t *testing.T) {
	t.Run("raft", func(t *testing.T) {
		dist.Require(t, dist.Nodes(size), dist.Ports("raft")).Addrs("raft")
	})
	t.Run("http", func(t *testing.T) {
		_ = dist.Require(t, dist.Nodes(size), dist.Ports("http", "admin")).Node(0).Addr("admin")
	})
	t.Run("none", func(t *testing.T) { dist.Require(t, dist.Nodes(1)).Node(0).Kill() })
}

//dist:nodes=3
func TestPortsAndProgram(t *testing.T) {
	t.Run("program", func(t *testing.T) {
		dist.Require(t, dist.Program("etcd")).Addrs("client")
	})
	t.Run("raft", func(t *testing.T) { dist.Require(t, dist.Ports("raft")).Addrs("raft") })
}

// What init registers is run by tests.

func init() { // want init:"requires"
	register("literal", func(t *testing.T) { dist.Require(t, dist.Nodes(1)) })
	register("named", testAll)
	register("made", sized(3))
	register("from elsewhere", clustertest.Scenario(3))
	registerAll()
	clustertest.Register()
	scenarios = append(scenarios, scenario{"table", func(t *testing.T) { newHarness(t).stop() }})
}

var made = map[string]func(t *testing.T){"made": sized(3), "from elsewhere": clustertest.Scenario(3)}

func register(name string, run func(t *testing.T)) { registry[name] = run }

func registerAll() { // want registerAll:"requires"
	for i := range 3 {
		register(fmt.Sprint(i), func(t *testing.T) { dist.Require(t, dist.Nodes(i)) })
	}
}

func sized(n int) func(t *testing.T) { // want sized:"requires"
	return func(t *testing.T) { dist.Require(t, dist.Nodes(n)) }
}
