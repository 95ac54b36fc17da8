package clusters

import (
	"context"
	"sync"
	"testing"
	"time"

	"clustertest"
	"github.com/distkit/dist"
)

func TestIndex(t *testing.T) {
	c := dist.Require(t, dist.Nodes(3))
	c.Node(0).Kill()
	c.Node(2).Kill()
	c.Node(3).Kill()                                                 // want `no node 3 in a cluster of 3: indexes are 0 to 2`
	_ = c.Nodes()[3]                                                 // want `no node 3 in a cluster of 3`
	_ = c.Addrs("raft")[last]                                        // want `no node 4 in a cluster of 3` `no port "raft": the test asks for none`
	_ = c.Node(-1)                                                   // want `no cluster has a node -1: indexes begin at 0`
	t.Run("", func(t *testing.T) { dist.Require(t).Node(5).Kill() }) // want `no node 5 in a cluster of 3`
}

const last = 4

//dist:nodes=3
func TestIndexDirective(t *testing.T) {
	c := dist.Require(t)
	c.Node(3).Kill()   // want `no node 3 in a cluster of 3`
	for i := range 4 { // want `the loop gets to node 3 in a cluster of 3: indexes are 0 to 2`
		c.Node(i).Kill()
	}
	for i := 0; i < 5; i++ { // want `the loop gets to node 3 in a cluster of 3: indexes are 0 to 2`
		if err := c.Node(i).Kill(); err != nil { // certain nonetheless: it is in no branch
			t.Fatal(err)
		}
		c.Nodes()[i].Kill()
	}
	for i := range 3 {
		c.Node(i).Kill()
	}
	for i := range 10 {
		if i < c.Size() {
			c.Node(i).Kill()
		}
		_ = i < c.Size() && c.Node(i).Running()
	}
	for i := range 10 {
		if i == 3 {
			break
		}
		c.Node(i).Kill()
	}
	for i := range 10 {
		i %= 3
		c.Node(i).Kill()
	}
}

// The directive says some, the call says them again.
//
//dist:nodes=3 ports=raft,http
func TestPorts(t *testing.T) {
	c := dist.Require(t, dist.Ports("http", "raft"))
	_ = c.Addrs("raft")
	_ = c.Node(0).Addr("http")
	_ = c.Node(0).Addr(rpc) // want `no port "rpc": the test has raft, http`
	t.Run("sub", func(t *testing.T) {
		_ = dist.Require(t).Addrs("htp") // want `no port "htp": the test has raft, http`
		_ = c.Addrs(t.Name())
	})
	addrOf(c.Node(0), "rpc") // which others may call, too
}

const rpc = "rpc"

func addrOf(n *dist.Node, port string) string { return n.Addr(port) }

func TestPortsOfACall(t *testing.T) {
	c := withPorts(t, "raft", "kv")
	_ = c.Addrs("kv")
	_ = c.Addrs("http")
}

func withPorts(t *testing.T, ports ...string) *dist.Cluster { // want withPorts:`requires.dist.Require.t, dist.Nodes.3., dist.Ports.ports...`
	return dist.Require(t, dist.Nodes(3), dist.Ports(ports...))
}

func TestPortsInAHelper(t *testing.T) {
	c := withRaft(t)
	_ = c.Addrs("raft")
	_ = c.Addrs("http") // want `no port "http": the test has raft`
}

func withRaft(t *testing.T) *dist.Cluster { // want withRaft:`requires.dist.Require.t, dist.Nodes.3., dist.Ports."raft"...`
	return dist.Require(t, dist.Nodes(3), dist.Ports("raft"))
}

func TestPortsOfSubtests(t *testing.T) {
	t.Run("raft", func(t *testing.T) {
		_ = dist.Require(t, dist.Nodes(3), dist.Ports("raft")).Addrs("raft")
	})
	t.Run("http", func(t *testing.T) {
		_ = dist.Require(t, dist.Nodes(3), dist.Ports("http")).Addrs("htp") // want `no port "htp": the test has raft, http`
	})
}

//dist:nodes=3 program=etcd
func TestPortsOfAProgram(t *testing.T) { _ = dist.Require(t).Addrs("client") }

func TestIndexHelper(t *testing.T) {
	clustertest.New(t).Node(5).Kill() // want `no node 5 in a cluster of 5`
	clustertest.New(t).Node(4).Kill()
}

//dist:nodes=5
func TestIndexTable(t *testing.T) {
	for _, n := range []int{3, 5} {
		dist.Require(t, dist.Nodes(n)).Node(4).Kill()
	}
}

func TestIndexUnknown(t *testing.T) { dist.Require(t).Node(100).Kill() }

func TestIndexLargest(t *testing.T) {
	t.Run("", func(t *testing.T) { dist.Require(t, dist.Nodes(3)).Node(2).Kill() })
	t.Run("", func(t *testing.T) { dist.Require(t, dist.Nodes(5)).Node(4).Kill() })
}

// Clusters that are kept beyond their test.

var kept, mine, fake, given *dist.Cluster

var node *dist.Node

func TestKeep(t *testing.T) {
	kept = dist.Require(t, dist.Nodes(3))
	kept.Node(0).Kill()
	mine = dist.Require(t)
	fake = nil
	keepNode(t)
	set(&given)
}

func keepNode(t *testing.T) { // want keepNode:"requires"
	node = dist.Require(t).Node(0)
}

func set(c **dist.Cluster) {}

func TestKept(t *testing.T) {
	kept.Node(0).Kill() // want `kept holds the cluster of TestKeep, and ends with it: TestKept would be right to call dist.Require itself`
	killNode()          // want `node holds the cluster of TestKeep, and ends with it: TestKept would be right to call dist.Require itself`
	if given != nil {
		given.Node(0).Kill()
	}
}

func killNode() { node.Kill() } // want killNode:"kills a node"

func TestMine(t *testing.T) {
	if mine == nil {
		mine = dist.Require(t)
	}
	mine.Node(0).Kill()
}

func TestAsks(t *testing.T) {
	if kept != nil {
		t.Log("it was kept")
	}
}

func TestSubtest(t *testing.T) {
	var c *dist.Cluster
	t.Run("start", func(t *testing.T) {
		c = dist.Require(t)
		c.Node(0).Kill()
	})
	t.Run("kill", func(t *testing.T) {
		c.Node(0).Kill() // want `c is the cluster of a subtest, and ended with it: would be right to call dist.Require with the t of TestSubtest`
	})
}

func TestSubtestOfLease(t *testing.T) {
	dist.Require(t)
	var c *dist.Cluster
	t.Run("", func(t *testing.T) { c = dist.Require(t) })
	c.Node(0).Kill()
}

func TestSubtestsEach(t *testing.T) {
	var c *dist.Cluster
	t.Run("", func(t *testing.T) { c = dist.Require(t) })
	c = nil
	_ = c
}

func TestGoroutineForever(t *testing.T) {
	c := dist.Require(t, dist.Nodes(3))
	go func() {
		for {
			c.Node(0).Kill() // want `the goroutine never ends, and uses c after TestGoroutineForever has: would be right to return when the test's context is done`
			time.Sleep(time.Second)
		}
	}()
	time.Sleep(time.Second)
}

func TestGoroutines(t *testing.T) {
	c := dist.Require(t, dist.Nodes(3))
	go func() {
		for t.Context().Err() == nil {
			c.Node(0).Kill()
		}
	}()
	go func() {
		for {
			select {
			case <-t.Context().Done():
				return
			default:
			}
			c.Node(0).Kill()
		}
	}()
	go func() {
		for {
			if c.Node(0).Kill() != nil {
				break
			}
		}
	}()
	go func() {
		for {
			noError(t, c.Node(0).Kill())
		}
	}()
	go func() {
		time.Sleep(time.Second)
		c.Node(0).Kill()
	}()
	for c.Node(0).Running() {
	}
}

func noError(t *testing.T, err error) {
	if err != nil {
		t.FailNow()
	}
}

func TestGoroutineLast(t *testing.T) {
	c := dist.Require(t)
	go func() {
		c.Node(0).Kill() // want `TestGoroutineLast ends as soon as it has started the goroutine, and c with it: would be right to wait for it`
	}()
}

func TestGoroutineAwaited(t *testing.T) {
	c := dist.Require(t)
	var wg sync.WaitGroup
	wg.Add(1)
	defer wg.Wait()
	go func() {
		defer wg.Done()
		c.Node(0).Kill()
	}()
}

// Faults.

//dist:nodes=3 program=etcd shared
func TestShared(t *testing.T) {
	c := dist.Require(t)
	c.Node(0).Kill() // want `TestShared kills a node of a cluster that it shares: others that use it now would see that, too`
	disturb(c)       // want `TestShared stops a node in disturb of a cluster that it shares`
	dist.Call(t.Context(), c.Node(0), echo, 1)
	clustertest.Ask(c)
}

//dist:nodes=3 program=etcd shared
func TestSharedByHelper(t *testing.T) {
	c := dist.Require(t)
	clustertest.Crash(c) // want `TestSharedByHelper kills a node in clustertest.Crash \(clustertest/clustertest.go:\d+\) of a cluster that it shares`
	crash(c)             // want `TestSharedByHelper kills a node in crash, which calls clustertest.Crash \(clustertest/clustertest.go:\d+\) of a cluster that it shares`
	(&clustertest.Breaker{C: c}).Break()
}

//dist:nodes=3 program=etcd shared
func TestSharedInBranch(t *testing.T) {
	c := dist.Require(t)
	clustertest.Chaos(c, false)
	perhaps(c, false)
	if !testing.Short() {
		clustertest.Storm(t, c) // want `TestSharedInBranch kills a node in clustertest.Storm \(clustertest/clustertest.go:\d+\) of a cluster that it shares`
	}
}

//dist:nodes=3 program=etcd shared
func TestSharedNetwork(t *testing.T) {
	c := dist.Require(t)
	c.Link(c.Node(0), c.Node(1)).Loss(0.5) // want `TestSharedNetwork loses packets of a cluster that it shares`
}

//dist:nodes=3 program=etcd shared
func TestSharedNetworkByHelper(t *testing.T) {
	clustertest.Lose(dist.Require(t)) // want `TestSharedNetworkByHelper loses packets in clustertest.Lose \(clustertest/clustertest.go:\d+\) of a cluster that it shares`
}

func perhaps(c *dist.Cluster, kill bool) {
	if kill {
		disturb(c)
	} else if c.Size() > 1 {
		return
	} else {
		c.Node(0).Kill()
	}
}

//dist:nodes=3 program=etcd shared
func TestSharedByMethod(t *testing.T) {
	b := clustertest.Breaker{C: dist.Require(t)}
	t.Run("", func(t *testing.T) {
		b.Break() // want `TestSharedByMethod isolates a node in clustertest.Breaker.Break \(clustertest/clustertest.go:\d+\) of a cluster that it shares`
	})
}

func crash(c *dist.Cluster) { // want crash:"kills a node"
	if err := clustertest.Crash(c); err != nil {
		panic(err)
	}
}

func disturb(c *dist.Cluster) { c.Node(1).Stop(context.Background()) } // want disturb:"stops a node"

func echo(ctx context.Context, in int) (int, error) { return in, nil }

//dist:nodes=3 program=etcd
func TestNotShared(t *testing.T) {
	disturb(dist.Require(t))
}

// Requirement calls outside a test.

var atStart = dist.Require(nil) // want `dist.Require for a package variable: a cluster belongs to a test, a benchmark or a fuzz target`

var onTheSpot = func() *dist.Cluster {
	return clustertest.New(nil) // want `dist.Require for a package variable`
}()

var byHelper = lease() // want `dist.Require for a package variable`

func lease() *dist.Cluster { // want lease:"requires"
	return withRaft(nil)
}

var starter = func(t *testing.T) { dist.Require(t) }

func Example() { // want Example:"requires"
	dist.Require(nil) // want `dist.Require in Example: a cluster belongs to a test, a benchmark or a fuzz target`
}
