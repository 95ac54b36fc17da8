//go:build elsewhere

package othertag

import (
	"testing"

	"github.com/distkit/dist"
)

//dist:nodes=3
func TestElsewhere(t *testing.T) { dist.Require(t) }
