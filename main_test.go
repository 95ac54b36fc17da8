package dist_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/distkit/dist"
	"github.com/distkit/dist/runtime/manager"
)

// suite builds the test binary of testdata/suite, once, as this one was built.
var suite = sync.OnceValues(func() (string, error) {
	suiteBuilt.Store(true)
	dir, err := os.MkdirTemp("", "dist suite ") // a path with spaces
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "suite.test")
	args := []string{"test", "-c", "-o", bin}
	if manager.RaceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "./testdata/suite")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the suite: %w\n%s", err, out)
	}
	return bin, nil
})

var suiteBuilt atomic.Bool

// withSuite removes the suite's binary when the tests are done.
type withSuite struct{ *testing.M }

func (m withSuite) Run() int {
	code := m.M.Run()
	if suiteBuilt.Load() {
		if bin, err := suite(); err == nil {
			os.RemoveAll(filepath.Dir(bin))
		}
	}
	return code
}

func TestMain(m *testing.M) { os.Exit(dist.Main(withSuite{m})) }
