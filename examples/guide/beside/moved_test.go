package beside

import (
	"testing"

	"github.com/distkit/dist"
)

//go:generate go tool distgen

// The same as TestKeepsWhatItAcknowledged, which is still there.
//
//dist:nodes=1 program=store
func TestKeepsWhatItAcknowledgedToo(t *testing.T) {
	c := dist.Require(t)
	n := c.Node(0)
	put(t, n.Addr("http"), "colour", "green")

	n.Kill()
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := get(t, n.Addr("http"), "colour"); got != "green" { // at the same address
		t.Errorf("after the crash: colour = %q; want green", got)
	}
}
