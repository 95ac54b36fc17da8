package runtime

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/inspect"
	"github.com/distkit/dist/runtime/manager"
)

// inspectDelay is how long a test binary has had a distributed test before
// anybody can ask what it does: most are over by then, and clusters are ready
// before this takes anything from them.
const inspectDelay = 100 * time.Millisecond

// inspectTime is what a node has to print its goroutines for somebody who asks,
// and what it has besides the time that a profile takes.
const inspectTime = 5 * time.Second

// profileMost is how long a profile for somebody who asks may take.
const profileMost = 10 * time.Minute

// inspected answers dist dump.
type inspected struct {
	mu     sync.Mutex
	timer  *time.Timer // nil before the first test
	over   bool
	server *inspect.Server
}

// soon has questions answered in a moment. Where that cannot be had, dist dump
// finds nothing, and no test is to fail for it.
func (i *inspected) soon(s *session) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.timer != nil {
		return
	}
	i.timer = time.AfterFunc(inspectDelay, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if !i.over {
			i.server, _ = inspect.Listen(s.packagePath(), s.inspect)
		}
	})
}

// end is for good.
func (i *inspected) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
	if i.timer != nil {
		i.timer.Stop()
	}
	i.server.Close()
}

// inspect answers a question from outside. Nothing is changed by it: a node that
// does not answer is not ended.
func (s *session) inspect(ctx context.Context, q inspect.Request) inspect.Answer {
	fail := func(err error) inspect.Answer { return inspect.Answer{Error: err.Error()} }
	if q.Do == inspect.List {
		return inspect.Answer{Tests: s.inspectedTests()}
	}
	if q.For < 0 || q.For > profileMost {
		return fail(fmt.Errorf("a profile over %v: at most %v", q.For, profileMost))
	}
	ctx, cancel := context.WithTimeout(ctx, q.For+inspectTime)
	defer cancel()
	var (
		h *Held
		n manager.Node
	)
	if q.Node != "" {
		s.mu.Lock()
		h = s.held[q.Test]
		s.mu.Unlock()
		if h == nil {
			return fail(fmt.Errorf("%s has no cluster any more", q.Test))
		}
		i := slices.IndexFunc(h.Nodes, func(n manager.Node) bool { return n.Name() == q.Node })
		if i < 0 {
			return fail(fmt.Errorf("%s has no node %q", q.Test, q.Node))
		}
		n = h.Nodes[i]
	}
	switch {
	case q.Do == inspect.Stacks && n == nil:
		return inspect.Answer{Data: stacks()}
	case q.Do == inspect.Stacks:
		d := n.Dump(ctx, 0)
		return inspect.Answer{Lines: d.Lines(), Data: []byte(d.Stacks)}
	case q.Do == inspect.Profile && n == nil:
		b, err := record(ctx, manager.ProfileRequest{Name: q.Profile, For: q.For})
		if err != nil {
			return fail(fmt.Errorf("make a %s profile of the test process: %w", q.Profile, err))
		}
		return inspect.Answer{Data: b}
	case q.Do == inspect.Profile:
		b, err := h.Profile(ctx, n, q.Profile, q.For)
		if err != nil {
			return fail(err)
		}
		return inspect.Answer{Data: b}
	}
	return fail(fmt.Errorf("a test binary does not answer %q", q.Do))
}

// inspectedTests are those that have a cluster.
func (s *session) inspectedTests() []inspect.Test {
	s.mu.Lock()
	var held []*Held
	for _, h := range s.held {
		held = append(held, h)
	}
	s.mu.Unlock()
	slices.SortFunc(held, func(a, b *Held) int { return cmp.Or(a.began.Compare(b.began), cmp.Compare(a.ID, b.ID)) })
	var tests []inspect.Test
	for _, h := range held {
		t := inspect.Test{Name: h.Test(), Cluster: h.ID, Program: h.Program(), Since: h.began}
		ports := h.options.Ports
		if p := h.config.Programs[h.Program()]; p != nil {
			ports = p.Ports
		} else if a := h.config.Attach[h.Program()]; a != nil && len(a.Nodes) > 0 {
			ports = slices.Collect(maps.Keys(a.Nodes[0]))
		}
		for _, n := range h.Nodes {
			node := inspect.Node{Name: n.Name(), PID: n.PID(), Running: n.Running()}
			for _, port := range ports {
				if a := n.Addr(port); a != "" {
					if node.Addr == nil {
						node.Addr = make(map[string]string)
					}
					node.Addr[port] = a
				}
			}
			t.Nodes = append(t.Nodes, node)
		}
		tests = append(tests, t)
	}
	return tests
}
