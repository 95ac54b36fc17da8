//dist:nodes=3 ports=raft timeout=10s

// Package defaults has a default.
package defaults

import (
	"testing"

	"github.com/distkit/dist"
)

func TestBare(t *testing.T) { dist.Require(t) }

func TestOwnPorts(t *testing.T) { dist.Require(t, dist.Ports("http"), dist.Reuse()) }

func TestOwnSize(t *testing.T) { dist.Require(t, dist.Nodes(5)) }

//dist:optional
func TestNoSize(t *testing.T) { dist.Require(t) }

//dist:nodes=2
func TestDirective(t *testing.T) { dist.Require(t) }

func TestMin(t *testing.T) { dist.Require(t, dist.Min(4)) } // want `TestMin asks for what cannot be: min=4 is more than nodes=3`
