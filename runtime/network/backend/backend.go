// Package backend chooses what makes the faults of a cluster's network.
//
// Links are what auto means wherever they can be had. They delay, slow down and lose
// on every kernel, and not only where it has a netem; nodes reach what else is on this machine; and a
// cluster takes the nodes that have been started ahead of time, which cannot be
// moved into a network of their own. Namespaces take the place of links where it
// cannot be found out who a connection is from.
package backend

import (
	"errors"
	"fmt"
	"sync"

	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/network/links"
	"github.com/distkit/dist/runtime/network/namespaces"
)

// Nodes are those of one cluster.
type Nodes struct {
	Count int
	Ports []string
	// Addr is the address by which others reach a port of a node, Behind another
	// one, which the node can bind in its stead.
	Addr, Behind func(node int, port string) string
	HostPorts    []int        // of this machine's 127.0.0.1, that they are to reach wherever they are
	PIDs         func() []int // by index, at the time; 0 where there is none
}

// A Network is a cluster's network.
type Network struct {
	network.Faults
	Why string // it was not the first choice; "" where it was

	nodes Nodes
	own   *namespaces.Network // nil: the nodes are in that of this process
}

// New makes the network of nodes that are still to be started, by a backend or
// the best of "auto". Its error is a *network.Unsupported where there can be
// none.
func New(backend string, nodes Nodes) (*Network, error) {
	n := &Network{nodes: nodes}
	if backend != namespaces.Backend {
		l, err := links.Between(nodes.PIDs, nodes.Count, nodes.Ports, nodes.Addr, nodes.Behind)
		if err == nil {
			n.Faults = l
			return n, nil
		}
		why := (*network.Unsupported)(nil)
		if !errors.As(err, &why) || backend == links.Backend {
			return nil, err
		}
		n.Why = fmt.Sprintf("%s: %s", links.Backend, why.Why)
	}
	own, err := namespaces.Between(nodes.Count, nodes.Ports, nodes.Addr, nodes.HostPorts...)
	if err != nil {
		if u := (*network.Unsupported)(nil); n.Why != "" && errors.As(err, &u) {
			u.Why += "; nor by " + n.Why
		}
		return nil, err
	}
	n.Faults, n.own = own, own
	return n, nil
}

// Apart reports whether nodes are to be started in networks of their own, by a
// backend or the best of "auto", so that those that have been started already are
// of no use.
func Apart(backend string) bool {
	return backend == namespaces.Backend || backend != links.Backend && noLinks()
}

// noLinks is found out once: what a machine allows it goes on to allow.
var noLinks = sync.OnceValue(func() bool {
	l, err := links.New(func() []int { return nil })
	if err == nil {
		l.Close()
	}
	why := (*network.Unsupported)(nil)
	return errors.As(err, &why)
})

// Host is the network that a node is to be started in; nil: that of this process.
func (n *Network) Host(node int) *namespaces.Host {
	if n == nil || n.own == nil {
		return nil
	}
	return n.own.Host(node)
}

// Listen is the address that a node binds for a port.
func (n *Network) Listen(node int, port string) string {
	if n.own == nil {
		return n.nodes.Behind(node, port)
	}
	return n.nodes.Addr(node, port)
}

// String says by what faults are made, and why: "namespaces (links: …)".
func (n *Network) String() string {
	if n.Why == "" {
		return n.Backend()
	}
	return n.Backend() + " (" + n.Why + ")"
}
