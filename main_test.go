package dist_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/distkit/dist"
	"github.com/distkit/dist/runtime/manager"
)

// The packages below testdata that tests run as test binaries of their own,
// built as this one was, each once.
var (
	suite    = &binary{dir: "testdata/suite"}
	programs = &binary{dir: "testdata/programs"}
	failing  = &binary{dir: "testdata/failures"}
	ownMain  = &binary{dir: "testdata/failures/ownmain"}
	server   = &binary{dir: "testdata/failures/server", program: true}
	owner    = &binary{dir: "testdata/failures/owner", program: true}
)

type binary struct {
	dir     string
	program bool // not a test binary
	once    sync.Once
	file    string
	err     error
}

// path builds the binary if nobody has yet.
func (b *binary) path() (string, error) {
	b.once.Do(func() {
		var dir string
		if dir, b.err = os.MkdirTemp("", "dist suite "); b.err != nil { // a path with spaces
			return
		}
		if b.err = os.Chmod(dir, 0o755); b.err != nil { // other users run it, too
			return
		}
		b.file = filepath.Join(dir, filepath.Base(b.dir)+".test")
		args := []string{"test", "-c", "-o", b.file}
		if b.program {
			b.file = filepath.Join(dir, filepath.Base(b.dir))
			args = []string{"build", "-o", b.file}
		}
		if manager.RaceEnabled {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, "./"+b.dir)...).CombinedOutput(); err != nil {
			b.err = fmt.Errorf("build %s: %w\n%s", b.dir, err, out)
		}
	})
	return b.file, b.err
}

func (b *binary) remove() {
	if b.file != "" {
		os.RemoveAll(filepath.Dir(b.file))
	}
}

// withBinaries removes the binaries when the tests are done.
type withBinaries struct{ *testing.M }

func (m withBinaries) Run() int {
	code := m.M.Run()
	suite.remove()
	programs.remove()
	failing.remove()
	ownMain.remove()
	server.remove()
	owner.remove()
	return code
}

func TestMain(m *testing.M) { os.Exit(dist.Main(withBinaries{m})) }
