package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/distkit/dist/cmd/internal/script"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dist": main})
}

// TestScript runs the sessions in testdata/script against the real thing: each
// finds in its directory a go.mod of a module example.com/m that requires this
// repository, unless it brings a directory "new" to begin from nothing. $REPO is
// the repository, and $DIST the command.
func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs test binaries")
	}
	root := script.Repository(t)
	goenv := script.GoEnv(t, "GOMODCACHE", "GOCACHE")
	proxy := script.GoEnv(t, "GOPROXY")[0]
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
			e.Vars = append(e.Vars, "REPO="+root, "OUTER_"+proxy,
				"TERM=", "HOME="+home, "TMPDIR="+home)
			e.Vars = append(e.Vars, script.Offline...)
			e.Vars = append(e.Vars, goenv...)
			dist, err := exec.LookPath("dist") // testscript.Main put it there
			if err != nil {
				return err
			}
			e.Vars = append(e.Vars, "DIST="+dist)
			// A script that fails may leave clusters up, for as long as nobody has them.
			e.Defer(func() {
				down := exec.Command(dist, "down", "-all", "-force")
				down.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home, "XDG_CACHE_HOME=")
				down.Run()
			})
			if _, err := os.Stat(filepath.Join(e.WorkDir, "new")); err == nil {
				return nil
			}
			return script.WriteModule(e.WorkDir, "example.com/m", root)
		},
	})
}
