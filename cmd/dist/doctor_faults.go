package main

import (
	"errors"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/network"
	"github.com/distkit/dist/runtime/network/links"
	"github.com/distkit/dist/runtime/network/namespaces"
)

// checkFaults tries by what the network between nodes can have faults here, by
// having some, and says which of the backends a cluster gets.
func checkFaults(c *check, cfg *config.Config) *check {
	byLinks := func() error {
		n, err := links.New(func() []int { return nil })
		if err != nil {
			return reason(err)
		}
		return n.Close()
	}()
	byNamespaces := namespaces.Try()
	tell := func(backend string, err error) {
		text := backend + " can be had"
		if err != nil {
			text = backend + " cannot be had: " + err.Error()
		}
		c.Details = append(c.Details, text)
	}
	tell(links.Backend, byLinks)
	tell(namespaces.Backend, byNamespaces)
	if byNamespaces != nil {
		for _, s := range diagnostics.NamespaceSwitches() {
			c.Details = append(c.Details, s.Name+" is "+s.Value+" ("+s.Remedy+")")
		}
	} else if err := namespaces.TryShaping(); err != nil {
		c.Details = append(c.Details, "namespaces do not delay, slow down or lose: "+reason(err).Error())
	} else {
		c.Details = append(c.Details, "namespaces delay, slow down and lose as well")
	}
	wanted := cfg.Network.Faults
	switch {
	case wanted == namespaces.Backend && byNamespaces != nil, wanted == links.Backend && byLinks != nil:
		return c.warn("network.faults is %q, which cannot be had here: tests with network faults fail", wanted)
	case wanted == namespaces.Backend && cfg.Network.Addresses == string(network.Ports):
		return c.warn("network.faults is %q, and with network.addresses = %q nodes share an address: tests with network faults fail", wanted, cfg.Network.Addresses)
	case wanted == namespaces.Backend:
		return c.ok("by namespaces, as the configuration says")
	case wanted == links.Backend:
		return c.ok("by links, as the configuration says")
	case byLinks == nil:
		return c.ok("by links, which auto prefers")
	case byNamespaces == nil:
		return c.ok("by namespaces, since links cannot be had")
	}
	return c.warn("by nothing: tests with network faults fail")
}

// reason is why something is unsupported, without what that is.
func reason(err error) error {
	if u, ok := errors.AsType[*network.Unsupported](err); ok {
		return errors.New(u.Why)
	}
	return err
}
