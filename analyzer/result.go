package analyzer

import (
	"go/token"
	"go/types"

	"github.com/distkit/dist/requirement"
)

// A Result is what the Analyzer found in one package: its plan, and what else
// a bootstrap has to know. Positions belong to the pass's file set.
type Result struct {
	Plan      requirement.Plan // Package, OwnMain, Tests and Digest; Config is for the caller to fill
	Tests     []Test           // the plan's tests, with where and why; same order as Plan.Tests
	Functions []Function       // functions that may run on nodes, in source order of declaration
	TestMain  token.Pos        // the author's own TestMain; NoPos if there is none
	UsesDist  bool             // the package needs a bootstrap: it has tests, or functions, or its own TestMain calls dist.Main
}

// A Test is one entry of the plan with its origin.
type Test struct {
	requirement.Test
	Pos        token.Pos // the directive or the requirement call that decided it
	Constraint string    // build constraint of the file that declares it, as an expression; "" if none
	Why        string    // "//dist:nodes=3", "calls dist.Require", "calls newCluster, which calls dist.Require(t, dist.Nodes(5))"
}

// A Function is a package-level function that the tests name as a node function.
type Function struct {
	Object     *types.Func
	TypeArgs   []types.Type // of an instance of a generic function
	Constraint string       // build constraint of the file that declares it, as an expression; "" if none
	Pos        token.Pos    // where the tests first name it
	Called     bool         // they give it to Call; it may not be meant for nodes otherwise
}
