// Package nemesis stands for the real one.
package nemesis

import (
	"testing"

	"github.com/distkit/dist"
)

type Fault interface{ fault() }

func Run(t testing.TB, c *dist.Cluster, faults ...Fault) error { return nil }

func Kill() Fault { return nil }

func Ring() Fault { return nil }

func Lossy(fraction float64) Fault { return nil }
