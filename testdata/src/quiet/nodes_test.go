package quiet

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// What nodes keep from one call to the next.
var (
	storeMu sync.Mutex
	store   *Store
	applied atomic.Int64
	opened  = make(map[string]bool)
)

var errNotStarted = errors.New("not started")

var electionTimeout = 150 * time.Millisecond // the same in every process

var debug bool

func init() { debug = os.Getenv("QUIET_DEBUG") != "" }

func startReplica(ctx context.Context, c Config) (string, error) {
	storeMu.Lock()
	defer storeMu.Unlock()
	if store != nil {
		return "", errors.New("started already")
	}
	if c.Election == 0 {
		c.Election = electionTimeout
	}
	s, err := Open(c)
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	store, opened[c.ID] = s, true
	if debug {
		log.Printf("replica %s with %d peers", c.ID, len(c.Peers))
	}
	self := dist.Self(ctx)
	go serve(self.Context(), s)
	return c.ID, nil
}

// serve lasts as long as the lease.
func serve(ctx context.Context, s *Store) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.Close()
			return
		case <-tick.C:
			applied.Add(1)
		}
	}
}

func put(ctx context.Context, kv [2]string) (int64, error) {
	storeMu.Lock()
	defer storeMu.Unlock()
	if store == nil {
		return 0, errNotStarted
	}
	store.Put(kv[0], kv[1])
	return applied.Add(1), nil
}

func get(_ context.Context, k string) (string, error) {
	storeMu.Lock()
	defer storeMu.Unlock()
	if store == nil {
		return "", errNotStarted
	}
	v, ok := store.Get(k)
	if !ok {
		return "", fmt.Errorf("%q: not found", k)
	}
	return v, nil
}

func waitApplied(ctx context.Context, n int64) (struct{}, error) {
	for applied.Load() < n {
		select {
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return struct{}{}, nil
}

// crash is what the test wants.
func crash(ctx context.Context, code int) (struct{}, error) {
	if store == nil {
		return struct{}{}, errNotStarted
	}
	os.Exit(code)
	return struct{}{}, nil
}

func log2(_ context.Context, from uint64) (Page[Entry], error) {
	return Page[Entry]{Items: []Entry{{Term: 1, Index: from}}}, nil
}

func version(_ context.Context, v Version) (*Version, error) { return &v, nil }

func dial(ctx context.Context, addr string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.LocalAddr().String(), nil
}

func echo[T any](_ context.Context, v T) (T, error) { return v, nil }

func hold(ctx context.Context, _ struct{}) (struct{}, error) {
	<-ctx.Done()
	return struct{}{}, context.Cause(ctx)
}

// local is the same function for both kinds of process.
func TestLocal(t *testing.T) {
	if _, err := get(t.Context(), "k"); !errors.Is(err, errNotStarted) {
		t.Fatal(err)
	}
}

// TestReplicaAlone runs on its own what others run on nodes.
func TestReplicaAlone(t *testing.T) {
	id, err := startReplica(t.Context(), Config{ID: "alone"})
	if err != nil || id != "alone" || !opened["alone"] || applied.Load() > 0 {
		t.Fatal(id, err)
	}
}

// now is what some tests set, none of them for nodes.
var now = time.Now

func clock(ctx context.Context, _ struct{}) (time.Time, error) {
	cleanup, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return time.Time{}, errors.Join(err, cleanup.Err())
	}
	return now(), nil
}

func TestFakeClock(t *testing.T) {
	defer func(was func() time.Time) { now = was }(now)
	now = func() time.Time { return time.Unix(0, 0) }
	if at, err := clock(t.Context(), struct{}{}); err != nil || at.Unix() != 0 {
		t.Error(at, err)
	}
}

func TestClock(t *testing.T) {
	c := dist.Require(t, dist.Nodes(2), dist.Reuse())
	for _, n := range c.Nodes() {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			if at, err := dist.Call(t.Context(), n, clock, struct{}{}); err != nil || at.After(now().Add(time.Hour)) {
				t.Error(at, err)
			}
		})
	}
	others := c.Nodes()[1:]
	for i := range 3 {
		if i < len(others) {
			others[i].Kill()
		}
	}
}

// Counting what nodes do, in a process that counts, too.
var calls atomic.Int64

func count(_ context.Context, n int64) (int64, error) { return calls.Add(n), nil }

func TestCount(t *testing.T) {
	c := dist.Require(t, dist.Nodes(3))
	var total int64
	for _, n := range c.Nodes() {
		got, err := dist.Call(t.Context(), n, count, 1)
		if err != nil {
			t.Fatal(err)
		}
		total += got
		calls.Add(1)
	}
	if total != calls.Load() {
		t.Errorf("%d calls, counted %d", total, calls.Load())
	}
}
