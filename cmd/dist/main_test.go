package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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
	root := repository(t)
	goenv := goEnv(t, "GOMODCACHE", "GOCACHE")
	proxy := goEnv(t, "GOPROXY")[0]
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
			e.Vars = append(e.Vars, offline...)
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
			return writeModule(e.WorkDir, root)
		},
	})
}

// offline has the go command do with what is there.
var offline = []string{"GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off", "GOTOOLCHAIN=local"}

func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// writeModule makes dir the root of a module example.com/m that requires the
// repository.
func writeModule(dir, root string) error {
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o666); err != nil {
		return err
	}
	gomod := "module example.com/m\n\ngo 1.26.0\n\nrequire github.com/distkit/dist v0.0.0\n\n" +
		"replace github.com/distkit/dist => " + modulePath(root) + "\n"
	return os.WriteFile(filepath.Join(dir, "go.mod"), []byte(gomod), 0o666)
}

// modulePath is a directory as go.mod names it.
func modulePath(dir string) string {
	if strings.ContainsAny(dir, " \t") {
		return `"` + dir + `"`
	}
	return dir
}

// goEnv returns variables of the go command's environment, which scripts, with a
// home directory of their own, would not find.
func goEnv(t *testing.T, names ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(strings.TrimRight(string(out), "\r\n"), "\n")
	vars := make([]string, len(names))
	for i, name := range names {
		vars[i] = name + "=" + strings.TrimSpace(values[i])
	}
	return vars
}
