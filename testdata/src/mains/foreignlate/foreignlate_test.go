package foreignlate

import (
	"testing"

	"github.com/distkit/dist"

	"mains/testutil"
)

func TestIt(t *testing.T) { dist.Require(t) }

func TestMain(m *testing.M) { testutil.Late(m) } // want `TestMain runs statements before dist.Main` TestMain:"undiverted"
