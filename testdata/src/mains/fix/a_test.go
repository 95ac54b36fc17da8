package fix

import (
	"testing"

	"github.com/distkit/dist"
)

func TestIt(t *testing.T) { dist.Require(t) }
