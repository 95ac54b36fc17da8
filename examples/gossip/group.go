package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Config is how a member takes part.
type Config struct {
	Name      string        // unlike all others'
	Listen    string        // host:port that it binds, for UDP and TCP
	Advertise string        // host:port under which others reach it; Listen, if it is empty
	Probe     time.Duration // how often one of the others is asked whether it is there
	Suspicion int           // for how many times Probe, and more in large groups, one that does not answer may say that it is there
	Log       io.Writer
}

// A Group is the group as one member sees it.
type Group struct {
	list     *memberlist.Memberlist
	name     string
	patience time.Duration // with an update

	mu      sync.Mutex
	says    string            // what others are told
	members map[string]string // what they say, by name
	lost    []string          // who was declared dead, in order
	dead    map[string]string // addresses of those who still are, by name
	changed chan struct{}     // closed, and made anew, when any of these has changed

	stop context.CancelFunc // of what goes on in the background
}

// Open starts a group of one member. Close ends it.
func Open(c Config) (*Group, error) {
	if c.Advertise == "" {
		c.Advertise = c.Listen
	}
	g := &Group{name: c.Name, patience: 10 * c.Probe, members: make(map[string]string), dead: make(map[string]string), changed: make(chan struct{})}
	m := memberlist.DefaultLANConfig()
	m.Name, m.LogOutput = c.Name, c.Log
	m.ProbeInterval, m.ProbeTimeout, m.GossipInterval = c.Probe, c.Probe/2, c.Probe/5
	m.PushPullInterval = 10 * c.Probe
	m.SuspicionMult = c.Suspicion
	m.Delegate, m.Events = delegate{g}, events{g}
	var err error
	if m.BindAddr, m.BindPort, err = split(c.Listen); err != nil {
		return nil, err
	}
	if m.AdvertiseAddr, m.AdvertisePort, err = split(c.Advertise); err != nil {
		return nil, err
	}
	if g.list, err = memberlist.Create(m); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, g.stop = context.WithCancel(context.Background())
	go g.reconnect(ctx, 10*c.Probe)
	return g, nil
}

// reconnect tries every now and then to join one of those who are dead, as
// github.com/hashicorp/serf does: they may have been cut off, and take this member
// for dead as well. That they are is told for a short time only, in which the
// network may not have been whole again, and then nobody talks to them any more.
func (g *Group) reconnect(ctx context.Context, pause time.Duration) {
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		g.mu.Lock()
		addrs := slices.Collect(maps.Values(g.dead))
		g.mu.Unlock()
		if len(addrs) > 0 {
			g.Join(addrs[rand.IntN(len(addrs))]) // or another one, the next time
		}
	}
}

func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	return host, port, err
}

// Join joins the groups of the members at some addresses. One of them is enough.
func (g *Group) Join(addrs ...string) error {
	_, err := g.list.Join(addrs)
	return err
}

// Say has all members learn what this one says, instead of what it said before.
func (g *Group) Say(ctx context.Context, text string) error {
	g.mu.Lock()
	g.says = text
	g.mu.Unlock()
	for {
		// An update is dropped, and its end never told, where in the same moment the
		// member has to deny that it is dead: then it is made again.
		err := g.list.UpdateNode(g.patience)
		g.mu.Lock()
		said := g.members[g.name] == text
		g.mu.Unlock()
		if said {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// WaitMembers returns when just the members with some names are there, this one
// included.
func (g *Group) WaitMembers(ctx context.Context, names ...string) error {
	want := slices.Sorted(slices.Values(names))
	return g.wait(ctx, func() error {
		if got := slices.Sorted(maps.Keys(g.members)); !slices.Equal(got, want) {
			return fmt.Errorf("the members are %q, not %q", got, want)
		}
		return nil
	})
}

// WaitSays returns when a member says something.
func (g *Group) WaitSays(ctx context.Context, name, text string) error {
	return g.wait(ctx, func() error {
		if got, ok := g.members[name]; !ok || got != text {
			return fmt.Errorf("%s (a member: %t) says %q, not %q", name, ok, got, text)
		}
		return nil
	})
}

// wait returns when something holds, or why it does not when ctx ends.
func (g *Group) wait(ctx context.Context, holds func() error) error {
	for {
		g.mu.Lock()
		err, changed := holds(), g.changed
		g.mu.Unlock()
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// Lost is who was declared dead, here or by others, in order.
func (g *Group) Lost() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.lost)
}

// Close ends the member without a word: to the others it is dead.
func (g *Group) Close() error {
	g.stop()
	return g.list.Shutdown()
}

// events are what a Group is told of.
type events struct{ g *Group }

func (e events) NotifyJoin(n *memberlist.Node) {
	e.g.note(func() {
		e.g.members[n.Name] = string(n.Meta)
		delete(e.g.dead, n.Name)
	})
}

func (e events) NotifyUpdate(n *memberlist.Node) { e.NotifyJoin(n) }

func (e events) NotifyLeave(n *memberlist.Node) {
	e.g.note(func() {
		delete(e.g.members, n.Name)
		e.g.dead[n.Name] = n.Address()
		e.g.lost = append(e.g.lost, n.Name)
	})
}

func (g *Group) note(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.changed)
	g.changed = make(chan struct{})
}

// A delegate is what a Group tells.
type delegate struct{ g *Group }

func (d delegate) NodeMeta(int) []byte {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	return []byte(d.g.says)
}

func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}
