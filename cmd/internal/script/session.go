package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Sessions runs the sessions in testdata/script against the real thing: each
// finds in its directory a go.mod of a module example.com/m that requires this
// repository, unless it brings a directory "new" to begin from nothing. $REPO is
// the repository, and $DIST the command, which is also in PATH.
func Sessions(t *testing.T, dist string) {
	if testing.Short() {
		t.Skip("builds and runs test binaries")
	}
	root := Repository(t)
	goenv := GoEnv(t, "GOMODCACHE", "GOCACHE", "GOPROXY")
	caches, proxy := goenv[:2], goenv[2]
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			if cond == "userns" { // user, process and mount namespaces are to be had
				return exec.Command("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "true").Run() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Setup: func(e *testscript.Env) error {
			// What tests read and write inside their module decides whether their
			// results are cached; these are usually elsewhere.
			home, err := os.MkdirTemp("", "dist-script-")
			if err != nil {
				return err
			}
			e.Defer(func() { os.RemoveAll(home) })
			e.Setenv("PATH", filepath.Dir(dist)+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Vars = append(e.Vars, "REPO="+root, "DIST="+dist, "OUTER_"+proxy,
				"TERM=", "HOME="+home, "TMPDIR="+home)
			e.Vars = append(e.Vars, Offline...)
			e.Vars = append(e.Vars, caches...)
			// A script that fails may leave clusters up, for as long as nobody has them.
			e.Defer(func() {
				down := exec.Command(dist, "down", "-all", "-force")
				down.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home, "XDG_CACHE_HOME=")
				down.Run()
			})
			if _, err := os.Stat(filepath.Join(e.WorkDir, "new")); err == nil {
				return nil
			}
			return WriteModule(e.WorkDir, "example.com/m", root)
		},
	})
}

// Build has the command of a package built, and returns its file.
func Build(t testing.TB, path string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, path).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", path, err, out)
	}
	file := filepath.Join(dir, filepath.Base(path))
	if _, err := os.Stat(file); err != nil { // on Windows
		file += ".exe"
	}
	return file
}
