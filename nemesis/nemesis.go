package nemesis

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist"
	"github.com/distkit/dist/runtime"
	"github.com/distkit/dist/runtime/network"
)

// EnvSeed is the variable with the seed of all schedules whose Options have
// none: a number from 1 to 2⁶⁴-1.
const EnvSeed = network.EnvSeed

// undoTime is what putting right may take where the test is over.
const undoTime = 30 * time.Second

// A Fault is something that can be done to a cluster.
type Fault interface {
	// Plan chooses what is to be done in a round. Of what it goes by, only Rand
	// should be chance: it is what makes schedules repeatable. An error ends the Run.
	Plan(s *Scene) (Strike, error)
}

// FaultFunc is a function as a Fault.
type FaultFunc func(s *Scene) (Strike, error)

// Plan implements Fault.
func (f FaultFunc) Plan(s *Scene) (Strike, error) { return f(s) }

// A Strike is a fault for one round.
type Strike struct {
	Name string // "kill node-2": what the log calls it
	Do   func(ctx context.Context) error
	// Undo puts right what Do has done, in part or as a whole. It is called even
	// where Do has failed. nil: there is nothing to undo.
	Undo func(ctx context.Context) error
}

// A Scene is what a Fault goes by.
//
// The context is a field rather than an argument: a function of a context and one
// more argument is what nodes run, and distgen would take it for that.
type Scene struct {
	Context context.Context // ends with the schedule
	Cluster *dist.Cluster
	Rand    *rand.Rand
	// Restart restarts a node, and has Options.Started called for it.
	Restart func(ctx context.Context, n *dist.Node) error

	taken  map[int]bool // by index
	parted bool         // the network has its fault
}

// Free returns the nodes, by index, to which nothing is done yet in this round.
func (s *Scene) Free() (nodes []*dist.Node) {
	for _, n := range s.Cluster.Nodes() {
		if !s.taken[n.Index()] {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Take notes that something is going to be done to nodes.
func (s *Scene) Take(nodes ...*dist.Node) {
	if s.taken == nil {
		s.taken = make(map[int]bool)
	}
	for _, n := range nodes {
		s.taken[n.Index()] = true
	}
}

// Options are how a schedule runs.
type Options struct {
	// Seed determines the schedule. 0: DIST_SEED or, where that is not set, one
	// by chance.
	Seed uint64
	// Rounds is how many faults there are. 0: until ctx ends.
	Rounds int
	// Context ends the schedule. nil: the test's.
	Context context.Context
	// During is called when a fault has been done, and returns when it has lasted
	// long enough: when clients have made some progress without the node, say. An
	// error ends the schedule. nil: the fault lasts for a time of Lasting.
	During func(ctx context.Context) error
	// After is During for the time when a fault has been undone. nil:
	// Cluster.WaitHealthy, and a time of Lasting.
	After func(ctx context.Context) error
	// Lasting is between which times a fault lasts, and the pause after it, by
	// chance. The zero value is 100 ms to 1 s.
	Lasting [2]time.Duration
	// Started has a node do what it did, after it was restarted: calls the
	// function that starts a replica. nil: it does by itself, as programs do.
	Started func(ctx context.Context, n *dist.Node) error
}

func (o *Options) check(faults []Fault) error {
	switch {
	case len(faults) == 0:
		return errors.New("no fault to choose from")
	case o.Rounds < 0:
		return fmt.Errorf("%d rounds", o.Rounds)
	case o.Lasting[0] < 0 || o.Lasting[1] < o.Lasting[0]:
		return fmt.Errorf("faults that last from %v to %v", o.Lasting[0], o.Lasting[1])
	}
	return nil
}

// Run does one fault after the other, chosen among faults: each is done, lasts,
// is undone, and the cluster is left alone for a while. It returns nil when all
// rounds are over or, without a number of them, when ctx ends. Its error is the
// first one of a fault, of During, After or Started, or ctx's where rounds are
// left.
//
// Whatever happens, what has been done is undone before Run returns, and if Run
// runs in a goroutine of its own, before the test is over: a schedule ends with
// its test. Each round is in the test's log.
func Run(t testing.TB, c *dist.Cluster, o Options, faults ...Fault) error {
	t.Helper()
	if err := o.check(faults); err != nil {
		t.Errorf("nemesis.Run: %v", err)
		return fmt.Errorf("nemesis.Run: %w", err)
	}
	seed, run, err := seedFor(t, o.Seed)
	if err != nil {
		t.Errorf("nemesis.Run: %v", err)
		return fmt.Errorf("nemesis.Run: %w", err)
	}
	ctx := o.Context
	if ctx == nil {
		ctx = t.Context()
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &schedule{t: t, c: c, o: o, faults: faults, seed: seed, run: run}
	over := make(chan struct{})
	t.Cleanup(func() {
		t.Helper()
		cancel()
		<-over
		if t.Failed() {
			t.Log(s.story())
		}
	})
	defer close(over)
	defer cancel()
	return s.rounds(ctx)
}

// A schedule is one Run.
type schedule struct {
	t      testing.TB
	c      *dist.Cluster
	o      Options
	faults []Fault
	seed   uint64
	run    uint64 // which one of its test; 0: it has a seed of its own

	mu      sync.Mutex
	strikes []string
}

// story is what a test that has failed says of its schedule.
func (s *schedule) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	how := fmt.Sprintf("the seed was %d: the same schedule again with %s=%d", s.seed, EnvSeed, s.seed)
	if s.o.Seed != 0 {
		how = fmt.Sprintf("the seed is %d, by Options.Seed", s.seed)
	}
	if len(s.strikes) == 0 {
		return "nemesis: " + how + "; nothing was done"
	}
	return fmt.Sprintf("nemesis: %s\n    %s", how, strings.Join(s.strikes, "\n    "))
}

// chance is the source of all that is chosen in a round. It does not depend on
// what earlier rounds have used of theirs.
func (s *schedule) chance(round int) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed, s.run<<32|uint64(round)))
}

func (s *schedule) rounds(ctx context.Context) error {
	s.t.Helper()
	for round := 1; s.o.Rounds == 0 || round <= s.o.Rounds; round++ {
		if err := ctx.Err(); err != nil {
			return s.ended(err)
		}
		if err := s.round(ctx, round); err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) && !errors.As(err, new(*undoError)) {
				return s.ended(err)
			}
			return fmt.Errorf("nemesis: round %d: %w", round, err)
		}
	}
	return nil
}

// ended is the result of a schedule whose context has ended.
func (s *schedule) ended(err error) error {
	if s.o.Rounds == 0 {
		return nil
	}
	return fmt.Errorf("nemesis: %w", err)
}

func (s *schedule) round(ctx context.Context, round int) (err error) {
	s.t.Helper()
	r := s.chance(round)
	lasting, pause := s.length(r), s.length(r)
	fault := s.faults[r.IntN(len(s.faults))]
	scene := &Scene{Context: ctx, Cluster: s.c, Rand: r, Restart: s.restart}
	strike, err := fault.Plan(scene)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.strikes = append(s.strikes, fmt.Sprintf("round %d: %s", round, strike.Name))
	s.mu.Unlock()
	s.t.Logf("nemesis: round %d: %s", round, strike.Name)
	runtime.Schedule(s.t.Name(), s.seed, fmt.Sprintf("round %d: %s", round, strike.Name))
	if err := s.strike(ctx, strike, lasting); err != nil {
		return fmt.Errorf("%s: %w", strike.Name, err)
	}
	if s.o.After != nil {
		return s.o.After(ctx)
	}
	if err := s.c.WaitHealthy(ctx); err != nil {
		return err
	}
	return sleep(ctx, pause)
}

// strike does a fault, lets it last, and undoes it in any case.
func (s *schedule) strike(ctx context.Context, strike Strike, lasting time.Duration) (err error) {
	if strike.Undo != nil {
		defer func() {
			// Not by ctx: at the test's end, nodes have to be as they were, too.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
			defer cancel()
			if undone := strike.Undo(ctx); undone != nil {
				err = errors.Join(err, &undoError{undone})
			}
		}()
	}
	if err := strike.Do(ctx); err != nil {
		return err
	}
	if s.o.During != nil {
		return s.o.During(ctx)
	}
	return sleep(ctx, lasting)
}

// An undoError says that the cluster is not as it was. It counts even where the
// schedule was to end.
type undoError struct{ error }

func (e *undoError) Error() string { return "undo it: " + e.error.Error() }
func (e *undoError) Unwrap() error { return e.error }

func (s *schedule) restart(ctx context.Context, n *dist.Node) error {
	if err := n.Restart(ctx); err != nil {
		return err
	}
	return s.started(ctx, n)
}

func (s *schedule) started(ctx context.Context, n *dist.Node) error {
	if s.o.Started == nil {
		return nil
	}
	if err := s.o.Started(ctx, n); err != nil {
		return fmt.Errorf("start what ran on %s: %w", n.Name(), err)
	}
	return nil
}

// length is a time of Lasting.
func (s *schedule) length(r *rand.Rand) time.Duration {
	from, to := s.o.Lasting[0], s.o.Lasting[1]
	if to == 0 {
		from, to = 100*time.Millisecond, time.Second
	}
	return from + time.Duration(r.Int64N(int64(to-from)+1))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// seeds are those of the tests that run: one for all schedules of a test, so that
// one variable repeats them, and another one when the test runs again.
var seeds = struct {
	sync.Mutex
	of map[string]*testSeed // by test
}{of: make(map[string]*testSeed)}

type testSeed struct {
	seed uint64
	runs map[string]uint32 // schedules so far of the test and its subtests: each has a chance of its own
}

// seedFor returns the seed of a schedule, and which one of its test it is.
func seedFor(t testing.TB, chosen uint64) (seed, run uint64, err error) {
	if chosen != 0 {
		return chosen, 0, nil
	}
	test, sub, _ := strings.Cut(t.Name(), "/")
	seeds.Lock()
	defer seeds.Unlock()
	s := seeds.of[test]
	if s == nil {
		seed, err := network.Seed()
		if err != nil {
			return 0, 0, err
		}
		for seed == 0 {
			seed = rand.Uint64()
		}
		s = &testSeed{seed: seed, runs: make(map[string]uint32)}
		seeds.of[test] = s
		t.Cleanup(func() {
			seeds.Lock()
			defer seeds.Unlock()
			delete(seeds.of, test)
		})
	}
	s.runs[sub]++
	// Subtests may run at the same time, in any order. The checksum of none is 0.
	return s.seed, uint64(crc32.ChecksumIEEE([]byte(sub)) + s.runs[sub]), nil
}
