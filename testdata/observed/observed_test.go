package observed

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist"
)

func retired(_ context.Context, n int) (int, error)      { return Retired(n), nil }
func stopped(_ context.Context, n int) (int, error)      { return Stopped(n), nil }
func restarted(_ context.Context, n int) (int, error)    { return Restarted(n), nil }
func killed(_ context.Context, n int) (int, error)       { return Killed(n), nil }
func killedPaused(_ context.Context, n int) (int, error) { return KilledPaused(n), nil }
func reused(_ context.Context, n int) (int, error)       { return Reused(n), nil }

func crashed(_ context.Context, n int) (int, error) {
	go panic(fmt.Sprint("crashed by ", Crashed(n)))
	select {}
}

func race(context.Context, int) (int, error) { Race(); return 0, nil }

func spin(_ context.Context, d time.Duration) (int, error) { return Spin(d), nil }

func call(t *testing.T, n *dist.Node, fn func(context.Context, int) (int, error)) {
	t.Helper()
	if _, err := dist.Call(t.Context(), n, fn, 1); err != nil {
		t.Fatal(err)
	}
}

//dist:nodes=1
func TestRetired(t *testing.T) { call(t, dist.Require(t).Node(0), retired) }

//dist:nodes=1
func TestStopped(t *testing.T) {
	n := dist.Require(t).Node(0)
	call(t, n, stopped)
	n.Stop(t.Context())
}

//dist:nodes=1
func TestRestarted(t *testing.T) {
	n := dist.Require(t).Node(0)
	call(t, n, restarted)
	n.Restart(t.Context())
}

// TestKilled kills a node in the middle of a call, and then another one.
//
//dist:nodes=2
func TestKilled(t *testing.T) {
	c := dist.Require(t)
	call(t, c.Node(0), killed)
	done := make(chan error)
	go func() {
		_, err := dist.Call(t.Context(), c.Node(0), spin, time.Hour)
		done <- err
	}()
	c.Node(0).Kill()
	if lost := (*dist.LostError)(nil); !errors.As(<-done, &lost) || lost.Exit.Signal != "killed" {
		t.Errorf("the call ended otherwise: %v", lost)
	}
	if err := c.Node(0).Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Node(1).Kill()
}

//dist:nodes=1
func TestKilledPaused(t *testing.T) {
	n := dist.Require(t).Node(0)
	call(t, n, killedPaused)
	n.Pause()
	n.Kill()
}

//dist:nodes=1
func TestCrashed(t *testing.T) {
	_, err := dist.Call(t.Context(), dist.Require(t).Node(0), crashed, 1)
	if lost := (*dist.LostError)(nil); !errors.As(err, &lost) {
		t.Error(err)
	}
}

//dist:nodes=1 reuse
func TestReused(t *testing.T) {
	t.Run("1", func(t *testing.T) { call(t, dist.Require(t).Node(0), retired) })
	t.Run("2", func(t *testing.T) { call(t, dist.Require(t).Node(0), reused) })
}

// TestRaceReused races on a node that the next subtest would have got.
//
//dist:nodes=1 reuse
func TestRaceReused(t *testing.T) {
	t.Run("guilty", func(t *testing.T) { call(t, dist.Require(t).Node(0), race) })
	t.Run("innocent", func(t *testing.T) { call(t, dist.Require(t).Node(0), retired) })
}

//dist:nodes=1
func TestRaceRunning(t *testing.T) { call(t, dist.Require(t).Node(0), race) }

//dist:nodes=1
func TestRaceKilled(t *testing.T) {
	n := dist.Require(t).Node(0)
	call(t, n, race)
	n.Kill()
}

//dist:nodes=1
func TestRaceRestarted(t *testing.T) {
	n := dist.Require(t).Node(0)
	call(t, n, race)
	n.Restart(t.Context())
}

func tell(t *testing.T, n *dist.Node, what string) {
	t.Helper()
	c, err := net.Dial("tcp", n.Addr("main"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, what)
	if b, err := io.ReadAll(c); err != nil || string(b) != "9\n" {
		t.Fatalf("%s says %q, %v", n.Name(), b, err)
	}
}

//dist:nodes=1 program=server
func TestProgram(t *testing.T) { tell(t, dist.Require(t).Node(0), "nothing") }

//dist:nodes=1 program=deaf
func TestProgramDeaf(t *testing.T) { tell(t, dist.Require(t).Node(0), "nothing") }

//dist:nodes=1 program=server
func TestProgramRace(t *testing.T) {
	t.Run("guilty", func(t *testing.T) { tell(t, dist.Require(t).Node(0), "race") })
	t.Run("innocent", func(t *testing.T) { tell(t, dist.Require(t).Node(0), "nothing") })
}

//dist:nodes=1 program=server
func TestProgramRaceKilled(t *testing.T) {
	n := dist.Require(t).Node(0)
	tell(t, n, "race")
	n.Kill()
}

// TestProfiled has much for a profiler to see.
//
//dist:nodes=2
func TestProfiled(t *testing.T) {
	c := dist.Require(t)
	if _, err := dist.CallAll(t.Context(), c, spin, 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("OBSERVED_KILL") != "" {
		c.Node(1).Kill()
	}
}

// TestInspected looks into a node while it runs, and leaves what it sees in files.
//
//dist:nodes=1
func TestInspected(t *testing.T) {
	n := dist.Require(t).Node(0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := dist.Call(ctx, n, waitOrSpin, 0)
		done <- err
	}()
	for { // until it is there
		b, err := n.Goroutines(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "observed.waitOrSpin") {
			break
		}
	}
	for _, name := range []string{"cpu", "heap", "goroutine", "block", "mutex", "trace"} {
		b, err := n.Profile(ctx, name, 200*time.Millisecond)
		for name == "cpu" && err == nil && !sampled(t, b, "observed.Spin") { // others have the processor
			b, err = n.Profile(ctx, name, time.Second)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(os.Getenv("OBSERVED_DIR"), name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Profile(ctx, "nonsense", 0); err == nil || !strings.Contains(err.Error(), `make a nonsense profile of node-1: there is no profile "nonsense": there are cpu, trace, allocs`) {
		t.Errorf("nonsense: %v", err)
	}
	cancel()
	<-done
	n.Kill()
	if _, err := n.Goroutines(t.Context()); !errors.As(err, new(*dist.LostError)) {
		t.Errorf("of a node that is gone: %v", err)
	}
}

// sampled reports whether a profile has a function by that name.
func sampled(t *testing.T, profile []byte, name string) bool {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte(name))
}

func waitOrSpin(ctx context.Context, _ int) (int, error) {
	for ctx.Err() == nil {
		Spin(time.Millisecond)
	}
	return 0, ctx.Err()
}

// TestDebugged calls a function that somebody may have set a breakpoint in.
//
//dist:nodes=2
func TestDebugged(t *testing.T) {
	c := dist.Require(t)
	for range 2 {
		outs, err := dist.CallAll(t.Context(), c, retired, 1)
		if err != nil || outs[1] != 2 {
			t.Fatal(outs, err)
		}
		if os.Getenv("OBSERVED_RESTART") == "" {
			return
		}
		if err := c.Node(1).Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Node(1).Kill()
		if err := c.Node(1).Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

//dist:nodes=1 program=server
func TestInspectedProgram(t *testing.T) {
	n := dist.Require(t).Node(0)
	if _, err := n.Goroutines(t.Context()); err == nil || !strings.Contains(err.Error(), "ask node-1 for its goroutines: it runs program server") {
		t.Error(err)
	}
}
