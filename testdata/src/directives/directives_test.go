package directives

import (
	"testing"

	"github.com/distkit/dist"
)

//dist:nodes=3 // the right way
func TestRight(t *testing.T) { dist.Require(t) }

//dist:node=3 // want `"node=3" is no word of a dist directive; did you mean nodes=3\?`
func TestUnknown(t *testing.T) { dist.Require(t) }

//dist:nodes=3 containers // want `"containers" is no word of a dist directive; the words are nodes=N, .*`
func TestNotNear(t *testing.T) { dist.Require(t) }

//dist:nodes=0 // want `nodes=0: a cluster has at least 1 node`
func TestZero(t *testing.T) { dist.Require(t) }

//dist:nodes=100000 // want `nodes=100000: a cluster has at most 4096 nodes`
func TestMany(t *testing.T) { dist.Require(t) }

//dist:nodes=+3 // want `nodes=\+3: a size has no sign; did you mean nodes=3\?`
func TestSign(t *testing.T) { dist.Require(t) }

//dist:nodes=3 nodes=3 // want `nodes is given twice in one directive`
func TestRepeated(t *testing.T) { dist.Require(t) }

//dist:nodes=3 min=4 // want `min=4 is more than nodes=3`
func TestMin(t *testing.T) { dist.Require(t, dist.Nodes(3)) } // want `TestMin asks for what cannot be: min=4 is more than nodes=3`

//dist:nodes 3 ports=raft, http // want `nodes has no value: write nodes=N without spaces; did you mean nodes=3\?` `ports=raft,: the name of a port is empty; did you mean ports=raft,http\?`
func TestSpaces(t *testing.T) { dist.Require(t) }

// dist:nodes=3 // want `comment looks like a dist directive, but Go takes it for prose: write //dist:nodes=3`
func TestSpace(t *testing.T) { dist.Require(t) }

// Dist:nodes=3 // want `comment looks like a dist directive, but Go takes it for prose: write //dist:nodes=3`
func TestCase(t *testing.T) { dist.Require(t) }

// dist: nodes=3 // want `comment looks like a dist directive, but Go takes it for prose: write //dist:nodes=3`
func TestInnerSpace(t *testing.T) { dist.Require(t) }

// dist:Nodes=3 // want `comment looks like a dist directive, but Go takes it for prose: write //dist:nodes=3`
func TestWordCase(t *testing.T) { dist.Require(t) }

/* dist:nodes=3 */           // want `comment looks like a dist directive, but Go takes it for prose: write //dist:nodes=3, on a line of its own`
func TestBlock(t *testing.T) { dist.Require(t) }

// dist:nodes=3 is what a test would say.
func TestProse(t *testing.T) { dist.Require(t) }

//dist:nodes=3
//dist:ports=raft // want `TestSecond has its dist directive already: put all words into one line`
func TestSecond(t *testing.T) { dist.Require(t) }
