package none

import (
	"os"
	"testing"

	"github.com/distkit/dist"
)

func TestIt(t *testing.T) { dist.Require(t) }

func TestMain(m *testing.M) { // want `TestMain does not call dist.Main: its first statement would be os.Exit\(dist.Main\(m\)\)` TestMain:"undiverted"
	os.Exit(m.Run())
}
