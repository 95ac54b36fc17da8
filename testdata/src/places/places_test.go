package places

import (
	"testing"

	"github.com/distkit/dist"
)

//dist:nodes=3 // want `misplaced dist directive: helper is no test, benchmark or fuzz target`
func helper(t *testing.T) {}

//dist:nodes=3 // want `misplaced dist directive: Testlower is no test, benchmark or fuzz target`
func Testlower(t *testing.T) {}

//dist:nodes=3 // want `misplaced dist directive: TestMain is no test, benchmark or fuzz target`
func TestMain(m *testing.M) { dist.Main(m) }

//dist:nodes=3 // want `misplaced dist directive: Example is no test, benchmark or fuzz target`
func Example() {}

type suite struct{}

//dist:nodes=3 // want `misplaced dist directive: TestMethod is no test, benchmark or fuzz target`
func (suite) TestMethod(t *testing.T) {}

//dist:nodes=3 // want `misplaced dist directive: would be right in the doc comment of a test, or above the package clause`
type other struct{}

//dist:nodes=4 // want `misplaced dist directive: a blank line separates it from TestBlank`

// TestBlank has a comment of its own.
func TestBlank(t *testing.T) {
	//dist:nodes=3 // want `misplaced dist directive: would be right in the doc comment of a test, or above the package clause`
	dist.Require(t, dist.Nodes(4)) //dist:nodes=3 // want `misplaced dist directive`
}

//dist:nodes=4 // want `misplaced dist directive: would be right in the doc comment of a test, or above the package clause`
