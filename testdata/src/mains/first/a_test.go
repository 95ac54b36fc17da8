package first

import (
	"os"
	"testing"

	"github.com/distkit/dist"
)

func TestIt(t *testing.T) { dist.Require(t) }

type withSetUp struct{ *testing.M }

func (m withSetUp) Run() int { return m.M.Run() }

func TestMain(m *testing.M) {
	code := dist.Main(withSetUp{m})
	println("done")
	os.Exit(code)
}
