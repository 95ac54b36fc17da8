package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/distkit/dist/cmd/internal/script"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"distvet": main})
}

func TestScripts(t *testing.T) {
	stub := filepath.Join(script.Repository(t), "testdata", "src", "github.com", "distkit", "dist")
	distvet, err := exec.LookPath("distvet") // testscript.Main put it there
	if err != nil {
		t.Fatal(err)
	}
	cache := script.GoEnv(t, "GOCACHE")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// The scripts' modules need no network, and share the build cache.
			env.Setenv("GOFLAGS", "-mod=mod -buildvcs=false")
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOWORK", "off")
			env.Vars = append(env.Vars, cache...)
			env.Setenv("GOPATH", filepath.Join(env.WorkDir, "gopath"))
			env.Setenv("DISTVET", distvet)
			for _, name := range []string{"dist.go", "requirement/requirement.go"} {
				src, err := os.ReadFile(filepath.Join(stub, name))
				if err != nil {
					return err
				}
				to := filepath.Join(env.WorkDir, "dist", name)
				if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
					return err
				}
				if err := os.WriteFile(to, src, 0o666); err != nil {
					return err
				}
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "dist", "go.mod"), []byte("module github.com/distkit/dist\n\ngo 1.26\n"), 0o666)
		},
	})
}
