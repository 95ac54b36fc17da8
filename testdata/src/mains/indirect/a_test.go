package indirect

import (
	"os"
	"testing"

	"github.com/distkit/dist"
)

func TestIt(t *testing.T) { dist.Require(t) }

func run(m *testing.M) int {
	return dist.Main(m)
}

func TestMain(m *testing.M) { os.Exit(run(m)) }
