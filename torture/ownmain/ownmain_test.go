package ownmain

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"os"
	"testing"

	"github.com/distkit/dist"
	"github.com/distkit/dist/torture/mix"
)

func TestMain(m *testing.M) { os.Exit(dist.Main(m)) }

//dist:nodes=2 ports=a
func TestOwn1(t *testing.T) { mix.Run(t, dist.Require(t), true) }

//dist:nodes=1 reuse
func TestOwn2(t *testing.T) { mix.Run(t, dist.Require(t), false) }

//dist:nodes=2
func TestOwn3(t *testing.T) { t.Parallel(); mix.Run(t, dist.Require(t), false) }
