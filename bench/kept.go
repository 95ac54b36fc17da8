package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager/keeper"
	"github.com/distkit/dist/runtime/program"
)

// A kept is a cluster of etcd servers that is up, as dist up has it, and a test
// binary's way to it.
type kept struct {
	temp   string
	engine *process.Engine
	server *keeper.Server
	served sync.WaitGroup
	finder *keeper.Finder
	ask    keeper.Ask
	info   keeper.Info
}

// newKept starts the cluster of examples/etcd.
func newKept(ctx context.Context) (_ *kept, err error) {
	root, err := goList(ctx, ".", "{{.Module.Dir}}", "github.com/distkit/dist/bench")
	if err != nil {
		return nil, err
	}
	c, err := config.Load(filepath.Join(root, "examples", "etcd"))
	if err != nil {
		return nil, err
	}
	p := c.Programs["etcd"]
	if p == nil {
		return nil, errMissing{fmt.Errorf("no program etcd in %s", filepath.Join(root, "examples", "etcd"))}
	}
	k := &kept{engine: process.New(), finder: &keeper.Finder{}}
	env := os.Environ() // with the go command's cache
	if k.temp, err = os.MkdirTemp("", "dist-bench-"); err != nil {
		return nil, err
	}
	// A registry of its own; builds stay where they are found again.
	if cache, err := os.UserCacheDir(); err == nil {
		if err := os.MkdirAll(filepath.Join(cache, "dist", "build"), 0o700); err != nil {
			return nil, err
		}
		if err := os.Mkdir(filepath.Join(k.temp, "dist"), 0o700); err != nil {
			return nil, err
		}
		if err := os.Symlink(filepath.Join(cache, "dist", "build"), filepath.Join(k.temp, "dist", "build")); err != nil {
			return nil, err
		}
	}
	os.Setenv("XDG_CACHE_HOME", k.temp)
	os.Setenv("HOME", k.temp) // macOS has its cache there
	defer func() {
		if err != nil {
			k.remove()
		}
	}()
	keep := keeper.New(k.engine)
	if k.server, err = keeper.Listen(keep, keeper.Options{Kind: "bench", Open: true}); err != nil {
		return nil, err
	}
	k.served.Go(func() { k.server.Serve(context.WithoutCancel(ctx)) })
	k.ask = keeper.Ask{
		Who: "bench", Program: p, Dir: filepath.Dir(c.File), Nodes: 3, Shared: true, Env: env,
		Network: c.Network, Start: time.Minute, Ready: time.Minute, Grace: c.Grace(p.Stop),
	}
	k.info, err = keep.Up(ctx, k.ask)
	return k, err
}

func (k *kept) remove() {
	k.finder.Close()
	if k.server != nil {
		k.server.Close()
		k.served.Wait()
	}
	k.engine.Close()
	os.RemoveAll(k.temp)
}

// leaseKept is a shared lease by a process that has asked for one before, from
// the question who has such a cluster, less the look whether its program would
// still be built the same way.
func leaseKept(ctx context.Context, k *kept, _ int) (s sample, err error) {
	begin := time.Now()
	found, err := k.finder.Find(ctx, k.ask)
	if err != nil {
		return s, err
	}
	if found.Owner == nil {
		return s, fmt.Errorf("the cluster that is up is not used: %q", found.Passed)
	}
	l, err := found.Owner.Lease(ctx, found.Ask)
	if err != nil {
		return s, err
	}
	total := time.Since(begin)
	if _, err := l.Release(ctx); err != nil {
		return s, err
	}
	begin = time.Now()
	if _, err := program.Build(ctx, k.ask.Program, program.Options{Dir: k.ask.Dir, Env: k.ask.Env}); err != nil {
		return s, err
	}
	s.ours = float64(total - time.Since(begin))
	s.p95 = s.ours

	// The least that has to be known: that every node is healthy.
	begin = time.Now()
	errs := make([]error, len(k.info.Nodes))
	var wg sync.WaitGroup
	for i, n := range k.info.Nodes {
		wg.Go(func() { errs[i] = get(ctx, "http://"+n.Addr["client"]+"/livez") })
	}
	wg.Wait()
	s.floor = float64(time.Since(begin))
	for _, err := range errs {
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func get(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return nil
}
