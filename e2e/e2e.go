// Package e2e is for tests of what can be seen from outside: they run test
// binaries and the go command, each in a world of its own, and look at what is
// printed and what is left.
package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/events"
	"github.com/distkit/dist/runtime/manager"
)

// The packages that tests run as test binaries of their own, built as this one
// was, each once.
var (
	API      = &Binary{dir: "."} // the tests of package dist
	Suite    = &Binary{dir: "testdata/suite"}
	Programs = &Binary{dir: "testdata/programs"}
	Failures = &Binary{dir: "testdata/failures"}
	OwnMain  = &Binary{dir: "testdata/failures/ownmain"}
	Server   = &Binary{dir: "testdata/failures/server", program: true}
	Owner    = &Binary{dir: "testdata/failures/owner", program: true}
)

// root is the directory of the module.
var root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	panic(fmt.Sprintf("this test does not run in its module: %s, %v", dir, err))
})

// A Binary is what is built of one package.
type Binary struct {
	dir     string // in the module
	program bool   // not a test binary
	once    sync.Once
	file    string
	err     error
}

// Dir is the directory of the package.
func (b *Binary) Dir() string { return filepath.Join(root(), b.dir) }

// Path builds the binary if nobody has yet.
func (b *Binary) Path() (string, error) {
	b.once.Do(func() {
		var dir string
		if dir, b.err = os.MkdirTemp("", "dist suite "); b.err != nil { // a path with spaces
			return
		}
		if b.err = os.Chmod(dir, 0o755); b.err != nil { // other users run it, too
			return
		}
		b.file = filepath.Join(dir, filepath.Base(b.Dir())+".test")
		args := []string{"test", "-c", "-o", b.file}
		if b.program {
			b.file = filepath.Join(dir, filepath.Base(b.Dir()))
			args = []string{"build", "-o", b.file}
		}
		if manager.RaceEnabled {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, "./"+b.dir)...)
		build.Dir = root()
		if out, err := build.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("build %s: %w\n%s", b.dir, err, out)
		}
	})
	return b.file, b.err
}

// remove removes the file, if there is one.
func (b *Binary) remove() {
	if b.file != "" {
		os.RemoveAll(filepath.Dir(b.file))
	}
}

// Main runs tests and removes the binaries.
func Main(m *testing.M) int {
	code := m.Run()
	for _, b := range []*Binary{API, Suite, Programs, Failures, OwnMain, Server, Owner} {
		b.remove()
	}
	if dir, err := builds(); err == nil {
		os.RemoveAll(dir)
	}
	return code
}

// builds are what the worlds have built of programs. They share it, as a user's
// runs do: each would link the same again.
var builds = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "dist builds ") })

// shareBuilds has a cache directory have those of all.
func shareBuilds(cache string) error {
	built, err := builds()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "dist")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Symlink(built, filepath.Join(dir, "build"))
}

// A Run is one run of a binary, in a world of its own: whatever it leaves
// behind can be seen.
type Run struct {
	Cmd        *exec.Cmd
	Cache, Tmp string
	PIDs       string // file
	Out        bytes.Buffer
}

// goCache is where what the go command has built is found again by one that has
// another XDG_CACHE_HOME.
var goCache = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	return strings.TrimSpace(string(out)), err
})

// NewRun is a run of b. env has variables, separated by spaces.
func NewRun(t *testing.T, b *Binary, env string, args ...string) *Run {
	t.Helper()
	bin, err := b.Path()
	if err != nil {
		t.Fatal(err)
	}
	r := Prepare(t, env, exec.Command(bin, args...))
	r.Cmd.Dir = b.Dir()
	return r
}

// Prepare is a run of a command.
func Prepare(t *testing.T, env string, cmd *exec.Cmd) *Run {
	t.Helper()
	r := &Run{Cmd: cmd, Cache: t.TempDir(), Tmp: t.TempDir()}
	r.PIDs = filepath.Join(r.Cache, "pids")
	cmd.Dir = Suite.Dir()
	dir, err := goCache()
	if err == nil {
		err = shareBuilds(r.Cache)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GOCACHE="+dir,
		"XDG_CACHE_HOME="+r.Cache, "TMPDIR="+r.Tmp, "SUITE_PIDS="+r.PIDs)
	// What this test run is under must not change what the suite does.
	for _, name := range []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI"} {
		cmd.Env = append(cmd.Env, name+"=")
	}
	cmd.Env = append(cmd.Env, strings.Fields(env)...)
	cmd.Stdout, cmd.Stderr = &r.Out, &r.Out
	return r
}

// Start starts it, and ends it with the test.
func (r *Run) Start(t *testing.T) {
	t.Helper()
	if err := r.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Cmd.Process.Kill(); r.Cmd.Wait() })
}

// Clean fails if the run has left files.
func (r *Run) Clean(t *testing.T) {
	t.Helper()
	for _, dir := range []string{r.Tmp, filepath.Join(r.Cache, "dist", "runs"), filepath.Join(r.Cache, "dist", "tests")} {
		for deadline := time.Now().Add(time.Minute); ; {
			left, _ := filepath.Glob(filepath.Join(dir, "*"))
			left = slices.DeleteFunc(left, func(s string) bool {
				name := filepath.Base(s)
				return strings.HasPrefix(name, "go-build") || // the go command's own
					strings.HasPrefix(name, "dist-runs-") || strings.HasPrefix(name, "dist-tests-") || strings.HasPrefix(name, "dist-allowance-") // where the next run looks, too
			})
			if len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("left behind: %q", left)
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// Check runs it, and fails unless it exits as it should and prints what
// every expression matches.
func (r *Run) Check(t *testing.T, status int, want ...string) string {
	t.Helper()
	err := r.Cmd.Run()
	out := r.Out.String()
	if r.Cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := r.Cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("exit status %d, want %d\n%s", got, status, out)
		return out
	}
	for _, w := range want {
		if not, ok := strings.CutPrefix(w, "!"); ok {
			if regexp.MustCompile(not).MatchString(out) {
				t.Errorf("output has %q\n%s", not, out)
			}
		} else if !regexp.MustCompile(w).MatchString(out) {
			t.Errorf("output does not have %q\n%s", w, out)
		}
	}
	r.Clean(t)
	return out
}

// Recorded reads a run's events.
func Recorded(t *testing.T, file string) *events.Record {
	t.Helper()
	rec, err := events.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}
