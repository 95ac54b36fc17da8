package manager

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/manager/allowance"
	"github.com/distkit/dist/runtime/manager/keeper"
)

// newAllowance is this process's part in what all test binaries may run at once;
// nil for a worker of go test -fuzz, whose nodes its coordinator has asked for.
func newAllowance(giveUp func()) *allowance.Allowance {
	if slices.Contains(os.Args, "-test.fuzzworker") {
		return nil
	}
	return allowance.New(filepath.Base(os.Args[0]), allowance.Place, giveUp)
}

// wait returns when this machine has room for a cluster of the test binary. Only
// the test itself bounds how long that takes: by its deadline, and by its
// timeout, if it has one.
func (m *Manager) wait(ctx context.Context, r Request, d Decision) (*allowance.Grant, error) {
	if m.room == nil {
		return nil, nil
	}
	limit := AtOnce(r.Config)
	if r.Requirement.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Requirement.Timeout)
		defer cancel()
	}
	g, err := m.room.Acquire(ctx, allowance.Request{
		Nodes: d.Nodes * fuzzFactor(r.Test), Total: limit.Nodes, Room: unused,
		Test: r.Test, Package: r.Package,
		Usable: func() int {
			if r.apart() {
				return 0
			}
			return m.pool.usable(d.Nodes, d.Action == Reuse)
		},
		Announce: r.Announce,
		Warn:     warn,
	})
	if err != nil {
		return nil, noRoom(ctx, err, limit)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if g.Waited > 0 {
		m.stats.Waited++
	}
	if g.Over > 0 {
		m.stats.Overcommitted++
	}
	return g, nil
}

// RoomFor has the clusters of a Keeper take their room from an allowance. They
// keep it while nobody has them.
func RoomFor(room *allowance.Allowance) func(context.Context, *keeper.Ask) (func(), error) {
	return func(ctx context.Context, a *keeper.Ask) (func(), error) {
		limit := Limit{a.AtOnce, "resources.max_nodes_on_machine"}
		if limit.Nodes == 0 {
			limit = machineAtOnce()
		}
		g, err := room.Acquire(ctx, allowance.Request{
			Nodes: a.Nodes, Total: limit.Nodes, Room: unused, Test: a.Who, Kept: true,
			Announce: a.Announce, Warn: warn,
		})
		if err != nil {
			return nil, noRoom(ctx, err, limit)
		}
		return g.Release, nil
	}
}

func warn(s string) { fmt.Fprintln(os.Stderr, "dist: "+s) }

// noRoom is why there was none, as an *engine.Error.
func noRoom(ctx context.Context, err error, limit Limit) error {
	var busy *allowance.Busy
	if !errors.As(err, &busy) {
		return err
	}
	f := diagnostics.Failure{
		Phase: diagnostics.PhaseLimits, Code: diagnostics.LimitMachine, Err: ctx.Err(), Elapsed: busy.Waited,
		Asked: busy.Nodes, Allowed: busy.Total, Source: limit.Source, Details: busy.Holders,
	}
	if errors.Is(err, context.Canceled) {
		f.Code = diagnostics.TimeCanceled
	}
	return &engine.Error{Failure: f}
}

// fuzzFactor is how many clusters a test comes to. Under -fuzz its target runs in
// a coordinator, which has a cluster and does not use it, and in each worker. One
// after the other, the first would wait for ever for the last, so the
// coordinator asks for all.
func fuzzFactor(test string) int {
	pattern := testFlag("fuzz")
	if pattern == "" || !strings.HasPrefix(test, "Fuzz") {
		return 1
	}
	if re, err := regexp.Compile(pattern); err != nil || !re.MatchString(test) {
		return 1
	}
	workers, err := strconv.Atoi(testFlag("parallel"))
	if err != nil {
		workers = runtime.GOMAXPROCS(0)
	}
	return 1 + workers
}

func testFlag(name string) string {
	if f := flag.Lookup("test." + name); f != nil {
		return f.Value.String()
	}
	return ""
}
