package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist"
)

// Victims chooses the nodes that a fault is done to, among those of Scene.Free.
type Victims func(s *Scene) ([]*dist.Node, error)

// Any is one node.
func Any(s *Scene) ([]*dist.Node, error) { return s.some(1) }

// Minority is one node or more, but so few that a majority of the cluster is
// left, with what else is done in the same round. A cluster needs three nodes to
// have one.
func Minority(s *Scene) ([]*dist.Node, error) {
	size := s.Cluster.Size()
	most := (size-1)/2 - (size - len(s.Free()))
	if most < 1 {
		return nil, fmt.Errorf("no minority to choose: %d of %d nodes are left", len(s.Free()), size)
	}
	return s.some(1 + s.Rand.IntN(most))
}

// Majority is as many nodes as it takes for a majority not to be left, or more,
// but not all.
func Majority(s *Scene) ([]*dist.Node, error) {
	size := s.Cluster.Size()
	least := size/2 + 1
	if least >= size || len(s.Free()) < least {
		return nil, fmt.Errorf("no majority to choose: %d of %d nodes are left", len(s.Free()), size)
	}
	return s.some(least + s.Rand.IntN(min(size-1, len(s.Free()))-least+1))
}

// All are all nodes.
func All(s *Scene) ([]*dist.Node, error) { return s.some(len(s.Free())) }

// Who is the node that a function names: the one that leads, say; nobody, if the
// same round has something else for it. A schedule is then repeated in that it
// asks in the same rounds.
func Who(f func(ctx context.Context) (*dist.Node, error)) Victims {
	return func(s *Scene) ([]*dist.Node, error) {
		n, err := f(s.Context)
		if err != nil {
			return nil, err
		}
		if n == nil {
			return nil, errors.New("no node was named")
		}
		if s.taken[n.Index()] {
			return nil, nil // something else is done to it
		}
		s.Take(n)
		return []*dist.Node{n}, nil
	}
}

// some takes n free nodes, by chance, in the order of their indexes.
func (s *Scene) some(n int) ([]*dist.Node, error) {
	free := s.Free()
	if n < 1 || n > len(free) {
		return nil, fmt.Errorf("no node to choose: %d of %d are left", len(free), s.Cluster.Size())
	}
	chosen := make(map[int]bool)
	for _, i := range s.Rand.Perm(len(free))[:n] {
		chosen[i] = true
	}
	var nodes []*dist.Node
	for i, node := range free {
		if chosen[i] {
			nodes = append(nodes, node)
		}
	}
	s.Take(nodes...)
	return nodes, nil
}

// Kill kills nodes, and restarts them.
func Kill(v Victims) Fault {
	return on("kill", v, func(_ context.Context, _ *Scene, n *dist.Node) error { return n.Kill() }, restart)
}

// Stop stops nodes gracefully, and restarts them.
func Stop(v Victims) Fault {
	return on("stop", v, func(ctx context.Context, _ *Scene, n *dist.Node) error { return n.Stop(ctx) }, restart)
}

// Pause pauses nodes, and resumes them.
func Pause(v Victims) Fault {
	return on("pause", v,
		func(_ context.Context, _ *Scene, n *dist.Node) error { return n.Pause() },
		func(_ context.Context, _ *Scene, n *dist.Node) error { return n.Resume() })
}

// Restart restarts nodes, all at once where there are several.
func Restart(v Victims) Fault { return on("restart", v, restart, nil) }

// RestartAs restarts nodes as another program, and then as the one given last:
// an upgrade that is taken back. See dist.Node.RestartAs.
func RestartAs(program, back string, v Victims) Fault {
	return on("restart as "+program, v,
		func(ctx context.Context, _ *Scene, n *dist.Node) error { return n.RestartAs(ctx, program) },
		func(ctx context.Context, _ *Scene, n *dist.Node) error { return n.RestartAs(ctx, back) })
}

func restart(ctx context.Context, s *Scene, n *dist.Node) error { return s.Restart(ctx, n) }

// Nothing leaves the cluster alone for a round.
func Nothing() Fault {
	return FaultFunc(func(*Scene) (Strike, error) {
		return Strike{Name: "nothing", Do: func(context.Context) error { return nil }}, nil
	})
}

// on is a fault that is done to each of some nodes, at the same time.
func on(what string, v Victims, do, undo func(context.Context, *Scene, *dist.Node) error) Fault {
	return FaultFunc(func(s *Scene) (Strike, error) {
		nodes, err := v(s)
		if err != nil {
			return Strike{}, fmt.Errorf("%s: %w", what, err)
		}
		names := []string{}
		if len(nodes) == 0 {
			names = []string{"nobody"}
		}
		for _, n := range nodes {
			names = append(names, n.Name())
		}
		each := func(act func(context.Context, *Scene, *dist.Node) error) func(context.Context) error {
			if act == nil {
				return nil
			}
			return func(ctx context.Context) error {
				// What has been begun is finished, or a node would be neither as it was
				// nor as it is to be.
				lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
				defer cancel()
				defer context.AfterFunc(ctx, func() { time.AfterFunc(undoTime, cancel) })()
				errs := make([]error, len(nodes))
				var wg sync.WaitGroup
				for i, n := range nodes {
					wg.Go(func() { errs[i] = act(lasting, s, n) })
				}
				wg.Wait()
				return errors.Join(errs...)
			}
		}
		return Strike{Name: what + " " + strings.Join(names, ", "), Do: each(do), Undo: each(undo)}, nil
	})
}

// Together does several faults in one round, in order, to nodes of their own
// each, and undoes them in the opposite order.
func Together(faults ...Fault) Fault {
	return FaultFunc(func(s *Scene) (Strike, error) {
		var names []string
		var strikes []Strike
		for _, f := range faults {
			strike, err := f.Plan(s)
			if err != nil {
				return Strike{}, err
			}
			names = append(names, strike.Name)
			strikes = append(strikes, strike)
		}
		done := 0 // that have been begun
		return Strike{
			Name: strings.Join(names, "; "),
			Do: func(ctx context.Context) error {
				for _, strike := range strikes {
					done++
					if err := strike.Do(ctx); err != nil {
						return err
					}
				}
				return nil
			},
			Undo: func(ctx context.Context) error {
				var errs []error
				for ; done > 0; done-- {
					if undo := strikes[done-1].Undo; undo != nil {
						errs = append(errs, undo(ctx))
					}
				}
				return errors.Join(errs...)
			},
		}, nil
	})
}
