package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/wire"
)

// A BarrierError says that a barrier was not passed: who was there, and who was
// not, and where those are.
type BarrierError struct {
	Name    string
	Arrived []string  // names of nodes, and TheTest
	Missing []Missing // those who had not arrived, or have ended since
	Err     error     // the error of the context that ended the wait; nil where a node has ended
}

// Missing is one who is not at a barrier.
type Missing struct {
	Node   string
	Reason string // "killed by the test"; "suite.load is at load.go:12 [chan receive]"
	Stack  string // of the functions that run on the node; "" if it does not say
}

// TheTest is the test process where it takes part in a barrier.
const TheTest = "the test"

func (e *BarrierError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "barrier %q: ", e.Name)
	if e.Err != nil {
		fmt.Fprintf(&b, "%v: ", e.Err)
	}
	fmt.Fprintf(&b, "%s at it", list(e.Arrived))
	var names []string
	for _, m := range e.Missing {
		names = append(names, m.Node)
	}
	fmt.Fprintf(&b, ", %s missing", list(names))
	for _, m := range e.Missing {
		fmt.Fprintf(&b, "\n    %s: %s", m.Node, m.Reason)
		for line := range strings.Lines(m.Stack) {
			b.WriteString("\n        " + strings.TrimRight(line, "\n"))
		}
	}
	return b.String()
}

func (e *BarrierError) Unwrap() error { return e.Err }

func list(names []string) string {
	switch len(names) {
	case 0:
		return "nobody is"
	case 1:
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

// What a node asks about barriers.
type (
	// BarrierRequest is an arrival, or the end of the wait that an arrival with
	// the same number began.
	BarrierRequest struct {
		ID   uint64
		Name string
	}
	// BarrierAnswer is how the wait of an arrival ended.
	BarrierAnswer struct {
		Failed  bool
		GaveUp  bool // the wait ended before the barrier was passed
		Arrived []string
		Missing []Missing
	}
)

// askTime is what a node has to say where it is, when others miss it.
const askTime = time.Second

// theTest is the test process among the indexes of nodes.
const theTest = -1

// barriers are those of one cluster, on the test side. They last for its lease.
type barriers struct {
	nodes func() []*binaryNode
	over  context.Context // ends with the lease
	end   context.CancelFunc
	// record, if not nil, is told of each wait that is over.
	record func(who int, name string, begin time.Time, err error)

	mu    sync.Mutex
	named map[string]*barrier
}

// A barrier is used again as often as all have met at it.
type barrier struct {
	joined  bool     // the test takes part
	met     int      // how often all have met
	seen    int      // how many of these the test has waited for
	meeting *meeting // the one that is to come; nil if nobody waits for it
	left    map[int]string
}

// A meeting is one use of a barrier.
type meeting struct {
	name      string
	processes []engine.Node // of the nodes that are to meet
	here      map[int]int   // how many wait, by index
	alongside int           // waits of the test, where it takes no part
	over      chan struct{} // closed when err is set, and nobody waits any more
	err       *BarrierError // nil: all have met
}

func newBarriers(nodes func() []*binaryNode) *barriers {
	b := &barriers{nodes: nodes, named: make(map[string]*barrier)}
	b.over, b.end = context.WithCancel(context.Background())
	return b
}

func (b *barriers) barrier(name string) *barrier {
	if b.named[name] == nil {
		b.named[name] = &barrier{left: make(map[int]string)}
	}
	return b.named[name]
}

// join has nodes wait for the test at a barrier.
func (b *barriers) join(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.barrier(name).joined = true
}

var errBarriersOver = errors.New("the lease has ended")

// wait is meet, and tells of it.
func (b *barriers) wait(ctx context.Context, who int, name string) error {
	begin := time.Now()
	err := b.meet(ctx, who, name)
	if b.record != nil {
		b.record(who, name, begin, err)
	}
	return err
}

// meet has somebody arrive, and returns when all are there or one is not going
// to come. The wait of a context that has ended gives the arrival back.
func (b *barriers) meet(ctx context.Context, who int, name string) error {
	b.mu.Lock()
	bar := b.barrier(name)
	alongside := who == theTest && !bar.joined
	if alongside && bar.seen < bar.met {
		bar.seen++
		b.mu.Unlock()
		return nil
	}
	if m := bar.meeting; m != nil && m.broken() {
		b.fail(bar, m) // before its watch has seen to it: the node may be back already
	}
	m := bar.meeting
	if m == nil {
		m = &meeting{name: name, here: make(map[int]int), over: make(chan struct{})}
		bar.meeting = m
		b.watch(bar, m)
	}
	if alongside {
		m.alongside++
	} else {
		m.here[who]++
		delete(bar.left, who)
	}
	switch {
	case b.over.Err() != nil:
	case m.broken():
		b.fail(bar, m)
	case ctx.Err() == nil && b.complete(bar, m):
		bar.meeting, bar.left = nil, make(map[int]string)
		bar.met++
		if bar.joined || m.alongside > 0 {
			bar.seen = bar.met
		}
		close(m.over)
	}
	b.mu.Unlock()

	select {
	case <-m.over:
	case <-b.over.Done():
		return errBarriersOver
	case <-ctx.Done():
		if err := b.leave(ctx, who, bar, m, alongside); err != nil {
			return err
		}
	}
	select {
	case <-m.over: // where a node had ended before ctx did, those who are missing are just being asked
	case <-b.over.Done():
		return errBarriersOver
	}
	if m.err != nil {
		e := *m.err
		return &e
	}
	return nil
}

// broken reports whether a node that was to come has ended.
func (m *meeting) broken() bool {
	return slices.ContainsFunc(m.processes, func(p engine.Node) bool { return !engine.Alive(p) })
}

// complete reports whether all are there.
func (b *barriers) complete(bar *barrier, m *meeting) bool {
	if bar.joined && m.here[theTest] == 0 {
		return false
	}
	return !slices.ContainsFunc(b.nodes(), func(n *binaryNode) bool { return m.here[n.index] == 0 })
}

// leave takes back the arrival of somebody who does not wait any longer, and says
// whom he has waited for. It returns nil where the meeting is over already.
func (b *barriers) leave(ctx context.Context, who int, bar *barrier, m *meeting, alongside bool) error {
	b.mu.Lock()
	if bar.meeting != m {
		b.mu.Unlock()
		return nil
	}
	e := &BarrierError{Name: m.name, Arrived: b.arrived(m), Err: ctx.Err()}
	missing := b.absent(bar, m)
	if alongside {
		m.alongside--
	} else {
		if m.here[who]--; m.here[who] == 0 {
			delete(m.here, who)
		}
		bar.left[who] = "it was there, and has given up"
	}
	b.mu.Unlock()
	e.Missing = b.find(missing)
	return e
}

// watch fails a meeting as soon as a node ends. b.mu is held.
func (b *barriers) watch(bar *barrier, m *meeting) {
	for _, n := range b.nodes() {
		p := n.process()
		m.processes = append(m.processes, p)
		go func() {
			select {
			case <-p.Done():
				b.mu.Lock()
				b.fail(bar, m)
				b.mu.Unlock()
			case <-m.over:
			case <-b.over.Done():
			}
		}()
	}
}

// fail ends a meeting that is not going to be. The next arrival begins another
// one. b.mu is held.
func (b *barriers) fail(bar *barrier, m *meeting) {
	if bar.meeting != m {
		return
	}
	bar.meeting = nil
	e := &BarrierError{Name: m.name, Arrived: b.arrived(m)}
	missing := b.absent(bar, m)
	go func() {
		e.Missing = b.find(missing)
		m.err = e
		close(m.over)
	}()
}

// arrived are the names of those who are there and alive. b.mu is held.
func (b *barriers) arrived(m *meeting) []string {
	names := []string{}
	for i, n := range b.nodes() {
		if m.here[i] > 0 && engine.Alive(m.processes[i]) {
			names = append(names, n.name)
		}
	}
	if m.here[theTest] > 0 {
		names = append(names, TheTest)
	}
	return names
}

// An absence is one who is missing, and what is known without asking.
type absence struct {
	node  *binaryNode // nil for the test
	known []string
}

// absent are those who are missing. b.mu is held.
func (b *barriers) absent(bar *barrier, m *meeting) []absence {
	elsewhere := func(who int) (known []string) {
		for name, other := range b.named {
			if other != bar && other.meeting != nil && other.meeting.here[who] > 0 {
				known = append(known, fmt.Sprintf("it waits at barrier %q", name))
			}
		}
		slices.Sort(known)
		if left := bar.left[who]; left != "" {
			known = append([]string{left}, known...)
		}
		return known
	}
	var missing []absence
	for i, n := range b.nodes() {
		switch {
		case !engine.Alive(m.processes[i]):
			var known []string
			if m.here[i] > 0 || bar.left[i] != "" {
				known = append(known, "it had arrived")
			}
			if n.howEnded() == "" {
				known = append(known, "it was restarted meanwhile")
			}
			missing = append(missing, absence{n, known})
		case m.here[i] == 0:
			missing = append(missing, absence{n, elsewhere(i)})
		}
	}
	if bar.joined && m.here[theTest] == 0 {
		known := elsewhere(theTest)
		if len(known) == 0 {
			known = []string{"it has not called Cluster.Barrier"}
		}
		missing = append(missing, absence{nil, known})
	}
	return missing
}

// find asks those who are missing where they are.
func (b *barriers) find(missing []absence) []Missing {
	ctx, cancel := context.WithTimeout(b.over, askTime)
	defer cancel()
	found := make([]Missing, len(missing))
	var wg sync.WaitGroup
	for i, a := range missing {
		wg.Go(func() { found[i] = a.find(ctx) })
	}
	wg.Wait()
	return found
}

func (a *absence) find(ctx context.Context) Missing {
	m := Missing{Node: TheTest}
	known := a.known
	if n := a.node; n != nil {
		m.Node = n.name
		var more []string
		if more, m.Stack = n.whereabouts(ctx); len(more) > 0 {
			known = append(known, more...)
		}
	}
	m.Reason = strings.Join(known, "; ")
	return m
}

// howEnded is why the node's process has ended; "" while it runs.
func (n *binaryNode) howEnded() string {
	p, running := n.lives.Now()
	if running {
		return ""
	}
	if asked := n.lives.Asked(); asked != "" {
		return asked
	}
	exit := p.Exit()
	return "it has ended (" + exit.String() + ")"
}

// whereabouts says what the node does, or why it does not say.
func (n *binaryNode) whereabouts(ctx context.Context) (where []string, stack string) {
	if how := n.howEnded(); how != "" {
		return []string{how}, ""
	}
	if n.lives.Paused() {
		return []string{"paused by the test"}, ""
	}
	var d Dump
	n.ask(ctx, n.process(), 0, &d)
	if d.Silent != "" {
		return []string{"it " + d.Silent}, ""
	}
	running := runningCalls(d.Stacks)
	if len(running) == 0 {
		return []string{"no function runs on it"}, ""
	}
	return running, callStacks(d.Stacks)
}

// callStacks are the stacks of the goroutines that run what the test side has
// called, without what is around it.
func callStacks(stacks string) string {
	var b strings.Builder
	for _, g := range parseStacks(stacks) {
		frames, _, ok := g.called()
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "goroutine [%s]:\n", g.state)
		for _, f := range frames {
			fmt.Fprintf(&b, "%s\n\t%s\n", f.function, f.position)
		}
	}
	return b.String()
}

// Barrier has the test wait at a barrier of its nodes.
func (l *Lease) Barrier(ctx context.Context, name string) error {
	c, err := l.meets("wait at barrier", name)
	if err != nil {
		return err
	}
	err = c.barriers.wait(ctx, theTest, name)
	if err == errBarriersOver {
		return fmt.Errorf("wait at barrier %q: %w", name, l.endedError())
	}
	if e := (*BarrierError)(nil); errors.As(err, &e) {
		c.tell(e)
	}
	return err
}

// Join has the nodes wait for the test at barriers.
func (l *Lease) Join(names ...string) error {
	for _, name := range names {
		c, err := l.meets("join barrier", name)
		if err != nil {
			return err
		}
		c.barriers.join(name)
	}
	return nil
}

func (l *Lease) meets(what, name string) (*binaryCluster, error) {
	if l.Ended() {
		return nil, fmt.Errorf("%s %q: %w", what, name, l.endedError())
	}
	c, ok := l.cluster.(*binaryCluster)
	if !ok {
		return nil, fmt.Errorf("%s %q: no function runs on the nodes of cluster %s, and so none of them can arrive: barriers are for nodes of the test binary", what, name, l.ID)
	}
	return c, nil
}

// tell notes that the test has heard of the nodes that have ended.
func (c *binaryCluster) tell(e *BarrierError) {
	for _, n := range c.nodes {
		if slices.ContainsFunc(e.Missing, func(m Missing) bool { return m.Node == n.name }) && n.howEnded() != "" {
			n.lives.Tell(n.process())
		}
	}
}

// An inbox answers what a process asks of the test side: as the node that it is
// at the time.
type inbox struct {
	node atomic.Pointer[binaryNode]

	mu    sync.Mutex
	waits map[uint64]*arrival
}

// An arrival is a wait that the node may end. Which of the two requests is
// served first is open.
type arrival struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newInbox() *inbox { return &inbox{waits: make(map[uint64]*arrival)} }

func (i *inbox) arrival(id uint64) *arrival {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := i.waits[id]
	if a == nil {
		a = &arrival{}
		a.ctx, a.cancel = context.WithCancel(context.Background())
		i.waits[id] = a
	}
	return a
}

func (i *inbox) handle(ctx context.Context, method string, body []byte) ([]byte, error) {
	n := i.node.Load()
	if n == nil {
		return nil, errBarriersOver
	}
	switch method {
	case MethodBarrier, MethodBarrierLeave:
	default:
		return nil, fmt.Errorf("the test side does not answer %q", method)
	}
	r, err := wire.Unmarshal[BarrierRequest](body)
	if err != nil {
		return nil, fmt.Errorf("decode an arrival at a barrier: %w", err)
	}
	a := i.arrival(r.ID)
	if method == MethodBarrierLeave {
		a.cancel()
		return nil, nil
	}
	defer context.AfterFunc(ctx, a.cancel)() // the process has ended
	defer func() {
		a.cancel()
		i.mu.Lock()
		delete(i.waits, r.ID)
		i.mu.Unlock()
	}()
	err = n.c.barriers.wait(a.ctx, n.index, r.Name)
	var answer BarrierAnswer
	if e := (*BarrierError)(nil); errors.As(err, &e) {
		answer = BarrierAnswer{Failed: true, GaveUp: e.Err != nil, Arrived: e.Arrived, Missing: e.Missing}
	} else if err != nil {
		return nil, err
	}
	return wire.Marshal(answer)
}
