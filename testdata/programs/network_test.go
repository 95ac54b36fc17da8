package programs

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// A talk is what the nodes of a test say to each other.
type talk struct {
	*dist.Cluster
	t   *testing.T
	seq int
}

func newTalk(t *testing.T) *talk {
	k := &talk{Cluster: dist.Require(t), t: t}
	k.want("")
	return k
}

// A saying is something that one node says to another.
type saying struct {
	from, to *dist.Node
	text     string
}

func (k *talk) say(verb string, from, to *dist.Node) saying {
	k.t.Helper()
	k.seq++
	s := saying{from, to, fmt.Sprint("line-", k.seq)}
	if answer := ask(k.t, from, "%s %s %s", verb, to.Addr("kv"), s.text); answer != "ok" {
		k.t.Fatalf("%s to %s: %s", from.Name(), to.Name(), answer)
	}
	return s
}

func (k *talk) said(s saying) string {
	k.t.Helper()
	return ask(k.t, s.from, "said %s %s", s.to.Addr("kv"), s.text)
}

// await waits for the answer to what was said, or for the end that it came to.
func (k *talk) await(s saying) string {
	k.t.Helper()
	for {
		if answer := k.said(s); answer != "no" {
			return answer
		}
		select {
		case <-time.After(time.Millisecond):
		case <-k.t.Context().Done():
			k.t.Fatal(k.t.Context().Err())
		}
	}
}

func (k *talk) arrive(all []saying) {
	k.t.Helper()
	for _, s := range all {
		if answer := k.await(s); answer != "yes" {
			k.t.Errorf("%s to %s: %s", s.from.Name(), s.to.Name(), answer)
		}
	}
}

// silence is how long nothing must arrive; what is wrong would in a thousandth.
const silence = 50 * time.Millisecond

// want has each node talk to each other one, over the connections that are there
// and over new ones, and by datagrams. It arrives, but for pairs "1-2" that are
// cut. What was lost of the former two is returned.
func (k *talk) want(cut string) (lost []saying) {
	k.t.Helper()
	var within []saying
	var across []saying // datagrams
	for _, from := range k.Nodes() {
		for _, to := range k.Nodes() {
			if from == to {
				continue
			}
			isCut := strings.Contains(cut, fmt.Sprintf("%d-%d", from.Index()+1, to.Index()+1))
			for _, verb := range []string{"say", "say-anew"} {
				if s := k.say(verb, from, to); isCut {
					lost = append(lost, s)
				} else {
					within = append(within, s)
				}
			}
			d := k.say("tell", from, to)
			for !isCut && ask(k.t, to, "heard %s", d.text) == "nobody" {
				d = k.say("tell", from, to) // a datagram may be lost
			}
			if isCut {
				across = append(across, d)
			}
		}
	}
	k.arrive(within)
	if len(lost) == 0 {
		return nil
	}
	<-time.After(silence)
	for _, s := range lost {
		if answer := k.said(s); answer != "no" {
			k.t.Errorf("%s to %s across a cut: %s", s.from.Name(), s.to.Name(), answer)
		}
	}
	for _, s := range across {
		if from := ask(k.t, s.to, "heard %s", s.text); from != "nobody" {
			k.t.Errorf("a datagram from %s to %s across a cut comes from %s", s.from.Name(), s.to.Name(), from)
		}
	}
	return lost
}

func (k *talk) ok(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

//dist:nodes=3 program=kv
func TestNetworkCut(t *testing.T) {
	k := newTalk(t)
	nodes := k.Nodes()
	k.ok(k.Partition(nodes[:1], nodes[1:]))
	lost := k.want("1-2 2-1 1-3 3-1")
	k.ok(k.WaitHealthy(t.Context())) // the test is on no side
	k.ok(k.Heal())
	k.arrive(lost)
	k.want("")
}

// A node that is restarted, by force or not, is the same node: at the same
// address, and as cut off.
//
//dist:nodes=3 program=kv
func TestNetworkIsolated(t *testing.T) {
	k := newTalk(t)
	n := k.Node(2)
	addr, pid := n.Addr("kv"), n.PID()
	const cut = "1-3 3-1 2-3 3-2"
	k.ok(k.Isolate(n))
	k.want(cut)
	k.ok(n.Kill())
	k.ok(n.Restart(t.Context()))
	k.want(cut)
	k.ok(n.Restart(t.Context()))
	k.ok(k.Node(0).Restart(t.Context()))
	k.want(cut)
	if n.Addr("kv") != addr || n.PID() == pid {
		t.Errorf("restarted: %s, pid %d; was %s, pid %d", n.Addr("kv"), n.PID(), addr, pid)
	}
	k.ok(n.Pause())
	k.ok(k.Heal())
	k.ok(n.Resume())
	// The others may not have heard yet that their connections have ended.
	for _, from := range k.Nodes()[:2] {
		for _, to := range k.Nodes() {
			if from != to {
				k.arrive([]saying{k.say("say-anew", from, to)})
			}
		}
	}
}

//dist:nodes=3 program=kv
func TestNetworkOneWay(t *testing.T) {
	k := newTalk(t)
	a, b := k.Node(0), k.Node(1)
	k.ok(k.Link(a, b).Cut())
	d := k.say("tell", a, b)
	heard := k.say("tell", b, a)
	for ask(t, a, "heard %s", heard.text) == "nobody" {
		heard = k.say("tell", b, a)
	}
	if from := ask(t, b, "heard %s", d.text); from != "nobody" {
		t.Errorf("a datagram across a cut comes from %s", from)
	}
	lost := k.say("say", a, b)
	other := k.say("say", b, a) // the answer to which is cut
	<-time.After(silence)
	for _, s := range []saying{lost, other} {
		if answer := k.said(s); answer != "no" {
			t.Errorf("%s to %s across a cut: %s", s.from.Name(), s.to.Name(), answer)
		}
	}
	k.ok(k.Link(a, b).Heal())
	k.arrive([]saying{lost, other})
	k.want("")
}

//dist:nodes=2 program=kv
func TestNetworkReset(t *testing.T) {
	k := newTalk(t)
	a, b := k.Node(0), k.Node(1)
	k.ok(k.Link(a, b).Reset())
	if how := k.await(saying{a, b, "the end"}); !strings.Contains(how, "connection reset") {
		t.Errorf("the connection: %s", how)
	}
	k.arrive([]saying{k.say("say", a, b), k.say("say-anew", b, a)})
}

// What a node has answered before it was cut off and killed is there after both.
//
//dist:nodes=2 program=kv
func TestNetworkData(t *testing.T) {
	k := newTalk(t)
	n := k.Node(1)
	ask(t, n, "set colour green")
	k.ok(k.Isolate(n))
	k.ok(n.Kill())
	k.ok(n.Restart(t.Context()))
	if v := ask(t, n, "get colour"); v != "green" {
		t.Errorf("colour = %s", v)
	}
}

// A node reaches what this machine has on its loopback interface, also after it
// was restarted, and is told where there is nothing.
//
//dist:nodes=2 program=kv
func TestNetworkHost(t *testing.T) {
	c := dist.Require(t)
	c.Isolate(c.Node(1))
	for range 2 {
		for _, n := range c.Nodes() {
			if got := ask(t, n, "ask %s hello", os.Getenv("HOST_THERE")); got != "the host's hello" {
				t.Errorf("%s: %s", n.Name(), got)
			}
			if got := ask(t, n, "ask %s hello", os.Getenv("HOST_NOBODY")); !strings.Contains(got, "connection refused") {
				t.Errorf("%s, where nobody listens: %s", n.Name(), got)
			}
		}
		c.Node(0).Restart(t.Context())
	}
}
