package late

import (
	"flag"
	"os"
	"testing"

	"github.com/distkit/dist"
)

func TestIt(t *testing.T) { dist.Require(t) }

func TestMain(m *testing.M) { // want `TestMain runs statements before dist.Main, in every node too: put them into the Run method of what dist.Main is given` TestMain:"undiverted"
	flag.Parse()
	os.Exit(dist.Main(m))
}
