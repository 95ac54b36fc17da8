package late_test // want `TestMain of package late does not begin with dist.Main, which the tests of late_test need`

import (
	"testing"

	"github.com/distkit/dist"
	_ "mains/late"
)

func TestX(t *testing.T) { dist.Require(t) }
