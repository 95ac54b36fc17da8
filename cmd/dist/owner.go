package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/manager/allowance"
	"github.com/distkit/dist/runtime/manager/keeper"
)

// An owner of the program clusters of one dist test: whichever of its packages
// asks first has one started, and the others lease the same.
type runOwner struct {
	engine *process.Engine
	room   *allowance.Allowance
	server *keeper.Server
	stop   context.CancelFunc
	served chan error
}

// ownClusters makes the owner of a run's clusters, which starts none before it
// is asked to; nil if no test needs a program.
func ownClusters(packages []*generator.Package) (*runOwner, error) {
	needed := slices.ContainsFunc(packages, func(p *generator.Package) bool {
		return slices.ContainsFunc(p.Tests, func(t generator.Test) bool { return t.Requirement.Program != "" })
	})
	if !needed {
		return nil, nil
	}
	e := process.New()
	k := keeper.New(e)
	room := allowance.New("dist test", allowance.Place, nil)
	k.Room = manager.RoomFor(room)
	s, err := keeper.Listen(k, keeper.Options{Kind: "dist test"})
	if err != nil {
		room.Close()
		e.Close()
		return nil, err
	}
	// Not under the context of the command: when that is asked to end, the tests
	// still have to end their leases.
	ctx, stop := context.WithCancel(context.Background())
	o := &runOwner{engine: e, room: room, server: s, stop: stop, served: make(chan error, 1)}
	go func() {
		_, err := s.Serve(ctx)
		o.served <- err
	}()
	return o, nil
}

// environ is the environment of the tests that may lease from o: env without
// any other owner. A nil o is no owner.
func (o *runOwner) environ(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, keeper.EnvOwner+"=") })
	if o != nil {
		env = append(env, keeper.EnvOwner+"="+o.server.File())
	}
	return env
}

// end ends the clusters, gracefully, and all that the owner has.
func (o *runOwner) end() error {
	if o == nil {
		return nil
	}
	o.stop()
	err := <-o.served
	o.room.Close()
	if closeErr := o.engine.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("end the clusters of this run: %w", err)
	}
	return nil
}
