package mix

//go:generate go run github.com/distkit/dist/cmd/distgen

import (
	"testing"

	"github.com/distkit/dist"
)

//dist:nodes=1
func TestOne(t *testing.T) { Run(t, dist.Require(t), false) }

//dist:nodes=3 ports=a
func TestThree(t *testing.T) { Run(t, dist.Require(t), true) }

//dist:nodes=5 min=2
func TestFive(t *testing.T) { Run(t, dist.Require(t), false) }

//dist:nodes=2 optional
func TestOptional(t *testing.T) { Run(t, dist.Require(t), false) }

//dist:nodes=2 reuse
func TestReuse1(t *testing.T) { Run(t, dist.Require(t), false) }

//dist:nodes=2 reuse ports=a
func TestReuse2(t *testing.T) { Run(t, dist.Require(t), true) }

//dist:nodes=1 reuse
func TestReuse3(t *testing.T) { Run(t, dist.Require(t), false) }

//dist:nodes=2
func TestParallel1(t *testing.T) { t.Parallel(); Run(t, dist.Require(t), false) }

//dist:nodes=3 ports=a
func TestParallel2(t *testing.T) { t.Parallel(); Run(t, dist.Require(t), true) }

//dist:nodes=1 reuse
func TestParallel3(t *testing.T) { t.Parallel(); Run(t, dist.Require(t), false) }

//dist:nodes=2 reuse
func TestParallel4(t *testing.T) { t.Parallel(); Run(t, dist.Require(t), false) }

//dist:nodes=2 program=kv
func TestProgram1(t *testing.T) { RunKV(t, dist.Require(t), false) }

//dist:nodes=2 program=kv
func TestProgram2(t *testing.T) { RunKV(t, dist.Require(t), false) }

//dist:nodes=2 program=kv shared
func TestShared1(t *testing.T) { t.Parallel(); RunKV(t, dist.Require(t), true) }

//dist:nodes=2 program=kv shared
func TestShared2(t *testing.T) { t.Parallel(); RunKV(t, dist.Require(t), true) }
