// Package clusters has sessions of the dist command about clusters that outlive a
// test, or have to be ended from outside: programs, dist up and down, dump and
// clean. It has tests only, apart from those of the command: each package has
// ten minutes.
package clusters

import (
	"testing"

	"github.com/distkit/dist/cmd/internal/script"
)

func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs test binaries")
	}
	script.Sessions(t, script.Build(t, "github.com/distkit/dist/cmd/dist"))
}
