//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/manager/keeper"
)

// Ten clients, as ten packages would be, share one cluster of the run; it ends
// with the run.
func TestRunOwner(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	t.Setenv(keeper.EnvOwner, "another run's")
	if o, err := ownClusters([]*generator.Package{{Tests: make([]generator.Test, 1)}}); o != nil || err != nil {
		t.Fatalf("an owner for no program: %v, %v", o, err)
	} else if env := o.environ(os.Environ()); strings.Contains(strings.Join(env, "\n"), keeper.EnvOwner+"=") {
		t.Error("tests without a program are told of another run's owner")
	}

	o, err := ownClusters([]*generator.Package{{Tests: []generator.Test{{Test: requirement.Test{Requirement: requirement.Requirement{Program: "cat"}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	env := o.environ(os.Environ())
	if n := strings.Count(strings.Join(env, "\n"), keeper.EnvOwner+"="); n != 1 || env[len(env)-1] != keeper.EnvOwner+"="+o.server.File() {
		t.Errorf("%d owners in the environment, the last %q", n, env[len(env)-1])
	}
	cfg := config.Default()
	ask := keeper.Ask{
		Program: &config.Program{Name: "tail", Command: []string{"tail", "-f", "/dev/null"}, Stop: config.Stop{Signal: "SIGTERM"}, Reset: config.Reset{Mode: "none"}},
		Dir:     home, Nodes: 2, Shared: true, Network: cfg.Network,
		Start: cfg.StartTimeout(), Ready: cfg.StartTimeout(), Grace: cfg.StopTimeout(),
	}
	var (
		mu  sync.Mutex
		ids = make(map[string]int)
		wg  sync.WaitGroup
	)
	for range 10 {
		wg.Go(func() {
			f := keeper.Finder{Run: o.server.File()}
			defer f.Close()
			found, err := f.Find(t.Context(), ask)
			if err != nil || found.Owner == nil {
				t.Errorf("no owner: %v, %+v", err, found)
				return
			}
			l, err := found.Owner.Lease(t.Context(), found.Ask)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			ids[l.Info().ID]++
			mu.Unlock()
			if _, err := l.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("leases by cluster: %v", ids)
	}
	v, err := lookAround(t.Context())
	if err != nil || len(v.clusters) != 1 || v.clusters[0].Owner.Kind != "dist test" || v.clusters[0].Owner.Kept {
		t.Errorf("up: %+v, %v", v.clusters, err)
	}
	// It is not for dist down, unless one insists.
	if chosen, _ := v.choose(nil, true); len(chosen) > 0 {
		t.Errorf("-all chooses %v", chosen)
	}
	if chosen, wrong := v.choose([]string{"tail"}, true); len(chosen) > 0 || len(wrong) != 1 {
		t.Errorf("by program: %v, %v", chosen, wrong)
	}
	if chosen, wrong := v.choose([]string{v.clusters[0].ID}, true); len(chosen) != 1 || len(wrong) > 0 {
		t.Errorf("by id and force: %v, %v", chosen, wrong)
	}
	v.close()

	if err := o.end(); err != nil {
		t.Error(err)
	}
	if v, err := lookAround(t.Context()); err != nil || len(v.clusters) > 0 {
		t.Errorf("still up: %+v, %v", v.clusters, err)
	}
}
