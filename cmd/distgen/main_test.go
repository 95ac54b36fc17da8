package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"distgen": main})
}

// TestScript runs the sessions in testdata/script. Each finds a module
// example.com/m in its directory that requires a stub of package dist, which
// keeps them quick; real.txtar is about the real one.
//
// Besides testscript's own commands there are
//
//	remember FILE...    note the state of the files
//	untouched FILE...   fail if a file was written since, even with the same bytes
//	crlf FILE...        end the files' lines as a checkout on Windows might
func TestScript(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	goenv := goEnv(t, "GOMODCACHE", "GOCACHE")
	remembered := make(map[string]os.FileInfo)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "REPO="+root,
				"GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
			e.Vars = append(e.Vars, goenv...)
			// For scripts that take PATH away to have no go command.
			distgen, err := exec.LookPath("distgen")
			if err != nil {
				return err
			}
			goCommand, err := exec.LookPath("go")
			if err != nil {
				return err
			}
			e.Vars = append(e.Vars, "DISTGEN="+distgen, "GO="+goCommand)
			return stubModule(e.WorkDir, root)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"remember": func(ts *testscript.TestScript, neg bool, args []string) {
				for _, name := range args {
					info, err := os.Lstat(ts.MkAbs(name))
					ts.Check(err)
					remembered[ts.MkAbs(name)] = info
				}
			},
			"untouched": func(ts *testscript.TestScript, neg bool, args []string) {
				for _, name := range args {
					info, err := os.Lstat(ts.MkAbs(name))
					ts.Check(err)
					was := remembered[ts.MkAbs(name)]
					if was == nil {
						ts.Fatalf("%s was not remembered", name)
					}
					same := os.SameFile(was, info) && was.ModTime().Equal(info.ModTime())
					if same == neg {
						ts.Fatalf("%s untouched: %v", name, same)
					}
				}
			},
			"crlf": func(ts *testscript.TestScript, neg bool, args []string) {
				for _, name := range args {
					text := strings.ReplaceAll(ts.ReadFile(name), "\n", "\r\n")
					ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o666))
				}
			},
		},
	})
}

// stubModule makes the module of a script require the generator's stub of
// package dist, unless the script brings a go.mod of its own.
func stubModule(dir, root string) error {
	stub := filepath.Join(dir, ".dist")
	if err := os.CopyFS(stub, os.DirFS(filepath.Join(root, "generator", "testdata", "dist"))); err != nil {
		return err
	}
	types, err := os.ReadFile(filepath.Join(root, "requirement", "requirement.go"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(stub, "requirement"), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stub, "requirement", "requirement.go"), types, 0o666); err != nil {
		return err
	}
	gomod := filepath.Join(dir, "go.mod")
	if _, err := os.Stat(gomod); err == nil {
		return nil
	}
	return os.WriteFile(gomod, []byte("module example.com/m\n\ngo 1.26.0\n\n"+
		"require github.com/distkit/dist v0.0.0\n\nreplace github.com/distkit/dist => ./.dist\n"), 0o666)
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
