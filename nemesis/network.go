package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist"
)

// Faults of the network are those of dist.Cluster.Partition, and have the same
// conditions. A round has one of them at most, and
// dist.Cluster.Heal undoes it, with whatever else was wrong with the network.

// Halves parts the nodes, by chance, into two halves; of an odd number one has
// the majority.
func Halves() Fault {
	return FaultFunc(func(s *Scene) (Strike, error) {
		order, err := s.takeNetwork("halves", 2)
		if err != nil {
			return Strike{}, err
		}
		a, b := s.nodes(order[:len(order)/2]), s.nodes(order[len(order)/2:])
		return Strike{
			Name: fmt.Sprintf("part %s from %s", names(a), names(b)),
			Do:   func(context.Context) error { return s.Cluster.Partition(a, b) },
			Undo: func(context.Context) error { return s.Cluster.Heal() },
		}, nil
	})
}

// Isolate cuts nodes off from all others, and from each other.
func Isolate(v Victims) Fault {
	return FaultFunc(func(s *Scene) (Strike, error) {
		if _, err := s.takeNetwork("isolate", 2); err != nil {
			return Strike{}, err
		}
		nodes, err := v(s)
		if err != nil {
			return Strike{}, fmt.Errorf("isolate: %w", err)
		}
		var groups [][]*dist.Node
		for _, n := range nodes {
			groups = append(groups, []*dist.Node{n})
		}
		if len(groups) == 0 {
			return Strike{Name: "isolate nobody", Do: func(context.Context) error { return nil }}, nil
		}
		return Strike{
			Name: "isolate " + names(nodes),
			Do:   func(context.Context) error { return s.Cluster.Partition(groups...) },
			Undo: func(context.Context) error { return s.Cluster.Heal() },
		}, nil
	})
}

// Bridge parts the nodes, by chance, into two halves that do not reach each
// other, and one node that both reach. It takes three nodes.
func Bridge() Fault {
	return FaultFunc(func(s *Scene) (Strike, error) {
		order, err := s.takeNetwork("bridge", 3)
		if err != nil {
			return Strike{}, err
		}
		a, b := s.nodes(order[1:1+len(order)/2]), s.nodes(order[1+len(order)/2:])
		return s.cut(fmt.Sprintf("part %s from %s, but for the bridge %s", names(a), names(b), names(s.nodes(order[:1]))), bridge(order)), nil
	})
}

// Ring lays the nodes out as a ring, by chance, in which each reaches its
// neighbours only: a majority with itself, and no two reach the same one. It
// takes four nodes.
func Ring() Fault {
	return FaultFunc(func(s *Scene) (Strike, error) {
		order, err := s.takeNetwork("ring", 4)
		if err != nil {
			return Strike{}, err
		}
		return s.cut("ring of "+names(ordered(s.Cluster.Nodes(), order)), ring(order)), nil
	})
}

// Lossy has a part of the packets lost that nodes send and get, as
// dist.Link.Loss does: 0.3 is 30 %.
func Lossy(fraction float64, v Victims) Fault {
	return around("lossy", func(who string) string { return fmt.Sprintf("lose %.4g %% of the packets of %s", 100*fraction, who) }, v,
		func(l *dist.Link) error { return l.Loss(fraction) })
}

// Slow has what nodes send and get arrive later, by delay and at random by up to
// jitter more.
func Slow(delay, jitter time.Duration, v Victims) Fault {
	return around("slow", func(who string) string { return fmt.Sprintf("delay %s by %v to %v", who, delay, delay+jitter) }, v,
		func(l *dist.Link) error { return l.Delay(delay, jitter) })
}

// around is what is done to all links of some nodes.
func around(what string, name func(who string) string, v Victims, do func(*dist.Link) error) Fault {
	return FaultFunc(func(s *Scene) (Strike, error) {
		if _, err := s.takeNetwork(what, 2); err != nil {
			return Strike{}, err
		}
		nodes, err := v(s)
		if err != nil {
			return Strike{}, fmt.Errorf("%s: %w", what, err)
		}
		if len(nodes) == 0 {
			return Strike{Name: name("nobody"), Do: func(context.Context) error { return nil }}, nil
		}
		return Strike{
			Name: name(names(nodes)),
			Do: func(context.Context) error {
				var errs []error
				for i, n := range nodes {
					for _, other := range s.Cluster.Nodes() {
						if !slices.Contains(nodes[:i+1], other) {
							errs = append(errs, do(s.Cluster.Link(n, other).Both()))
						}
					}
				}
				return errors.Join(errs...)
			},
			Undo: func(context.Context) error { return s.Cluster.Heal() },
		}, nil
	})
}

// takeNetwork returns all nodes in an order of chance, by index.
func (s *Scene) takeNetwork(what string, least int) ([]int, error) {
	if size := s.Cluster.Size(); size < least {
		return nil, fmt.Errorf("%s: it takes %d nodes, and there are %d", what, least, size)
	}
	if s.parted {
		return nil, fmt.Errorf("%s: this round has a fault of the network already", what)
	}
	s.parted = true
	return s.Rand.Perm(s.Cluster.Size()), nil
}

// nodes are those with some indexes, in the order of these.
func (s *Scene) nodes(indexes []int) []*dist.Node {
	return ordered(s.Cluster.Nodes(), slices.Sorted(slices.Values(indexes)))
}

func ordered(all []*dist.Node, indexes []int) (nodes []*dist.Node) {
	for _, i := range indexes {
		nodes = append(nodes, all[i])
	}
	return nodes
}

func names(nodes []*dist.Node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.Name())
	}
	return strings.Join(list, ", ")
}

// A pair is two nodes, by index.
type pair [2]int

// cut is the strike of links that are cut, in both directions.
func (s *Scene) cut(name string, pairs []pair) Strike {
	return Strike{
		Name: name,
		Do: func(context.Context) error {
			var errs []error
			for _, p := range pairs {
				errs = append(errs, s.Cluster.Link(s.Cluster.Node(p[0]), s.Cluster.Node(p[1])).Both().Cut())
			}
			return errors.Join(errs...)
		},
		Undo: func(context.Context) error { return s.Cluster.Heal() },
	}
}

// bridge is what is cut for the first of an order to be the bridge between two
// halves of the others.
func bridge(order []int) (pairs []pair) {
	half := 1 + len(order)/2
	for _, a := range order[1:half] {
		for _, b := range order[half:] {
			pairs = append(pairs, pair{a, b})
		}
	}
	return pairs
}

// ring is what is cut for an order to be a ring.
func ring(order []int) (pairs []pair) {
	n := len(order)
	reach := (n/2 + 1) / 2 // neighbours on each side: a majority with the node itself
	for i := range n {
		for j := i + 1; j < n; j++ {
			if min(j-i, n-(j-i)) > reach {
				pairs = append(pairs, pair{order[i], order[j]})
			}
		}
	}
	return pairs
}
