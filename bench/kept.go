package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager/keeper"
)

// A kept is a program's cluster that is up, as dist up has it.
type kept struct {
	engine *process.Engine
	server *keeper.Server
	served sync.WaitGroup
	ask    keeper.Ask
	info   keeper.Info
}

// newKept starts a cluster of a program that a directory of this module, or of
// the one below it, configures: "etcd@examples/etcd".
func newKept(ctx context.Context, where string) (_ *kept, err error) {
	name, dir, _ := strings.Cut(where, "@")
	root, err := goList(ctx, ".", "{{.Module.Dir}}", "github.com/distkit/dist/bench")
	if err != nil {
		return nil, err
	}
	c, err := config.Load(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		return nil, err
	}
	p := c.Programs[name]
	if p == nil {
		return nil, errMissing{fmt.Errorf("there is no program %q in %s", name, filepath.Join(root, dir))}
	}
	k := &kept{engine: process.New()}
	defer func() {
		if err != nil {
			k.remove()
		}
	}()
	keep := keeper.New(k.engine)
	if k.server, err = keeper.Listen(keep, keeper.Options{Kind: "bench"}); err != nil {
		return nil, err
	}
	k.served.Go(func() { k.server.Serve(context.WithoutCancel(ctx)) })
	k.ask = keeper.Ask{
		Who: "bench", Program: p, Dir: filepath.Dir(c.File), Nodes: 3, Shared: true, Env: os.Environ(),
		Network: c.Network, Start: time.Minute, Ready: time.Minute, Grace: c.Grace(p.Stop),
	}
	k.info, err = keep.Up(ctx, k.ask)
	return k, err
}

func (k *kept) remove() {
	if k.server != nil {
		k.server.Close()
		k.served.Wait()
	}
	k.engine.Close()
}

// leaseKept is a shared lease by a test binary that asks for the first time:
// from the registry to a cluster that is ready. Whether its program would still
// be built the same way is not looked at.
func leaseKept(ctx context.Context, k *kept, _ int) (s sample, err error) {
	begin := time.Now()
	records, _, err := keeper.Records()
	if err != nil {
		return s, err
	}
	i := slices.IndexFunc(records, func(r keeper.Record) bool { return r.File == k.server.File() })
	if i < 0 {
		return s, errors.New("the owner is not in the registry")
	}
	c, err := keeper.Dial(ctx, records[i])
	if err != nil {
		return s, err
	}
	defer c.Close()
	up, err := c.Clusters(ctx)
	if err != nil {
		return s, err
	}
	a := k.ask
	a.Cluster = up[0].ID
	l, err := c.Lease(ctx, a)
	if err != nil {
		return s, err
	}
	s.ours = float64(time.Since(begin))
	s.p95 = s.ours
	if _, err := l.Release(ctx); err != nil {
		return s, err
	}

	// The least that has to be known: that every node is there.
	begin = time.Now()
	errs := make([]error, len(k.info.Nodes))
	var wg sync.WaitGroup
	for i, n := range k.info.Nodes {
		wg.Go(func() {
			c, err := net.Dial("tcp", n.Addr[k.ask.Program.Ports[0]])
			if err == nil {
				c.Close()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	s.floor = float64(time.Since(begin))
	return s, errors.Join(errs...)
}
