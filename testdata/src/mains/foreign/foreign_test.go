package foreign

import (
	"testing"

	"github.com/distkit/dist"

	"mains/testutil"
)

func TestIt(t *testing.T) { dist.Require(t) }

func TestMain(m *testing.M) { testutil.Main(m) }
