package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// What a module of a user's is made of, for suite_20.
const (
	manyPackages = 20
	manyEach     = 5 // tests in each
)

// manyTests is a module with many distributed tests, and the same without
// their clusters.
type manyTests struct {
	temp string
	env  []string
}

func (m *manyTests) remove() { os.RemoveAll(m.temp) }

// Both modules have the same imports, node functions and bootstrap, so that the
// same is compiled and linked.
const (
	manyTest = `package %s

import (
	"context"
	"testing"

	"github.com/distkit/dist"
)

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

%s`
	manyClustered = `//dist:nodes=3
func Test%d(t *testing.T) {
	c := dist.Require(t)
	for i, n := range c.Nodes() {
		if got, err := dist.Call(t.Context(), n, double, i); got != 2*i || err != nil {
			t.Errorf("double %%d: %%d, %%v", i, got, err)
		}
	}
}

`
	manyPlain = `func Test%d(t *testing.T) {
	for i := range 3 {
		if got, err := double(t.Context(), i); got != 2*i || err != nil {
			t.Errorf("double %%d: %%d, %%v", i, got, err)
		}
	}
}

`
	manyLinked = `// As much is linked as for the others.
var _ = dist.Require
`
)

func newManyTests(ctx context.Context, packages int) (_ *manyTests, err error) {
	root, err := goList(ctx, ".", "{{.Module.Dir}}", "github.com/distkit/dist/bench")
	if err != nil {
		return nil, err
	}
	m := &manyTests{}
	if m.temp, err = os.MkdirTemp("", "dist-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.remove()
		}
	}()
	distgen := filepath.Join(m.temp, "distgen")
	build := exec.CommandContext(ctx, "go", "build", "-o", distgen, "./cmd/distgen")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build distgen: %w\n%s", err, out)
	}
	m.env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	for _, kind := range []string{"plain", "clustered"} {
		dir := filepath.Join(m.temp, kind)
		for p := range packages {
			name := fmt.Sprintf("p%02d", p)
			var tests bytes.Buffer
			for i := range manyEach {
				if kind == "plain" {
					fmt.Fprintf(&tests, manyPlain, i)
				} else {
					fmt.Fprintf(&tests, manyClustered, i)
				}
			}
			if kind == "plain" {
				tests.WriteString(manyLinked)
			}
			file := filepath.Join(dir, name, name+"_test.go")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return nil, err
			}
			if err := os.WriteFile(file, fmt.Appendf(nil, manyTest, name, tests.String()), 0o600); err != nil {
				return nil, err
			}
		}
		for _, args := range [][]string{
			{"go", "mod", "init", "example.com/many"},
			{"go", "mod", "edit", "-require=github.com/distkit/dist@v0.0.0", "-replace=github.com/distkit/dist=" + root},
			{"go", "mod", "tidy"},
			{distgen, "./..."},
			{"go", "test", "-count=1", "./..."}, // fills the build cache
		} {
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Dir, cmd.Env = dir, m.env
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%v in a module with %d packages: %w\n%s", args, packages, err, out)
			}
		}
	}
	return m, nil
}

func measureSuite(ctx context.Context, m *manyTests, round int) (s sample, err error) {
	kinds := []string{"clustered", "plain"}
	if round%2 == 1 {
		slices.Reverse(kinds)
	}
	for _, kind := range kinds {
		cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "./...")
		cmd.Dir, cmd.Env = filepath.Join(m.temp, kind), m.env
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return s, fmt.Errorf("go test ./... of %s tests: %w\n%s", kind, err, out)
		}
		if took := float64(time.Since(start)); kind == "plain" {
			s.floor = took
		} else {
			s.ours = took
		}
	}
	return s, nil
}
