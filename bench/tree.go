package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distkit/dist/analyzer"
)

// What distgen and distvet cost is measured on a module that many people work
// on, as it is in the module cache. These are packages of it whose tests could
// well need clusters.
const largeModule = "github.com/ethereum/go-ethereum@v1.17.10"

var largePackages = []string{"core/txpool/blobpool", "eth/downloader", "p2p", "p2p/discover", "triedb/pathdb"}

// A tree is a pair of copies of a module that uses package dist. In one nobody
// needs a cluster, in the other some packages do.
type tree struct {
	module   string // what it is a copy of
	temp     string
	none     string
	some     string
	needy    []string // packages that need clusters in some, as patterns
	idle     []string // all others that have tests
	tests    int      // test files
	distgen  string
	distvet  string
	self     string   // this program, for the floors
	env      []string // of all processes
	prepared bool     // for vet
}

func (t *tree) remove() { os.RemoveAll(t.temp) }

// errMissing is why there is no tree to measure in.
type errMissing struct{ error }

// fetch returns where the module cache has a module.
func fetch(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil {
		return "", errMissing{fmt.Errorf("go mod download %s: %w", module, errors.Join(err, jsonErr))}
	}
	if answer.Error != "" {
		return "", errMissing{errors.New(answer.Error)}
	}
	return answer.Dir, nil
}

// newTree copies the module in dir and makes some packages of it need clusters.
// It builds with a cache of its own, unless it is given one.
func newTree(ctx context.Context, module, dir string, needy []string, cache string) (*tree, error) {
	root, err := goList(ctx, ".", "{{.Module.Dir}}", "github.com/distkit/dist/bench")
	if err != nil {
		return nil, err
	}
	t := &tree{module: module}
	if t.temp, err = os.MkdirTemp("", "dist-bench-"); err != nil {
		return nil, err
	}
	if cache == "" {
		cache = filepath.Join(t.temp, "cache")
	}
	if err := t.prepare(ctx, root, dir, needy, cache); err != nil {
		t.remove()
		return nil, err
	}
	return t, nil
}

func (t *tree) prepare(ctx context.Context, root, dir string, needy []string, cache string) (err error) {
	if t.self, err = os.Executable(); err != nil {
		return err
	}
	t.none, t.some = filepath.Join(t.temp, "none"), filepath.Join(t.temp, "some")
	t.distgen, t.distvet = filepath.Join(t.temp, "distgen"), filepath.Join(t.temp, "distvet")
	// The cgo packages of a module would measure the C compiler.
	env := append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOCACHE="+cache)
	t.env = append(slices.Clip(env), "GOFLAGS=")
	for _, tool := range []string{t.distgen, t.distvet} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", tool, "./cmd/"+filepath.Base(tool))
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", filepath.Base(tool), err, out)
		}
	}
	for _, copied := range []string{t.none, t.some} {
		if err := copyModule(copied, dir); err != nil {
			return fmt.Errorf("copy %s: %w", t.module, err)
		}
		cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-require=github.com/distkit/dist@v0.0.0", "-replace=github.com/distkit/dist="+root)
		cmd.Dir, cmd.Env = copied, t.env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("require package dist in %s: %w\n%s", t.module, err, out)
		}
	}
	dirs, err := testDirs(t.none)
	if err != nil {
		return err
	}
	for d, files := range dirs {
		t.tests += files
		if !slices.Contains(needy, d) {
			t.idle = append(t.idle, "./"+d)
		}
	}
	slices.Sort(t.idle)
	for _, p := range needy {
		t.needy = append(t.needy, "./"+p)
		if err := need(filepath.Join(t.some, filepath.FromSlash(p))); err != nil {
			return err
		}
	}
	// The versions of what package dist needs have to find their way into go.mod,
	// and what is imported into the build cache.
	cmd := exec.CommandContext(ctx, t.distgen, append([]string{"-C", t.some}, t.needy...)...)
	cmd.Env = append(slices.Clip(env), "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errMissing{fmt.Errorf("what %s imports cannot be had: distgen: %w\n%s", t.module, err, out)}
	}
	return nil
}

// copyModule copies what is in a module of the module cache, so that it can be
// written to.
func copyModule(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if e.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return os.Chmod(p, 0o600)
	})
}

// testDirs returns how many test files each of a module's directories has.
func testDirs(root string) (map[string]int, error) {
	dirs := make(map[string]int)
	err := walkTests(root, func(p string) error {
		rel, err := filepath.Rel(root, filepath.Dir(p))
		dirs[filepath.ToSlash(rel)]++
		return err
	})
	return dirs, err
}

// need adds a test to the package in dir that needs a cluster.
func need(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("%s has no tests", dir), err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), files[0], nil, parser.PackageClauseOnly)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "zz_dist_bench_test.go"), fmt.Appendf(nil, needyTest, f.Name.Name), 0o600)
}

const needyTest = `package %s

import (
	"testing"

	"github.com/distkit/dist"
)

//dist:nodes=3
func TestDistBench(t *testing.T) { dist.Require(t) }
`

// inTurns runs both, one first in one round and the other in the next.
func inTurns(round int, ours, floor func() (float64, error)) (s sample, err error) {
	runs := []func() error{
		func() (err error) { s.ours, err = ours(); return err },
		func() (err error) { s.floor, err = floor(); return err },
	}
	if round%2 == 1 {
		slices.Reverse(runs)
	}
	for _, run := range runs {
		if err := run(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// cpu runs a program in a directory and returns the processor time, in
// nanoseconds, that it and the programs it ran took.
func (t *tree) cpu(ctx context.Context, dir, name string, args ...string) (float64, error) {
	return t.cpuWith(ctx, nil, dir, name, args...)
}

func (t *tree) cpuWith(ctx context.Context, env []string, dir, name string, args ...string) (float64, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(slices.Clip(t.env), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return float64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()), nil
}

// floor runs this program as one that does the least there is to do.
func (t *tree) floor(ctx context.Context, dir, kind string, args ...string) (float64, error) {
	return t.cpuWith(ctx, []string{floorEnv + "=" + kind}, dir, t.self, args...)
}

func measureNone(ctx context.Context, t *tree, round int) (sample, error) {
	return inTurns(round,
		func() (float64, error) { return t.cpu(ctx, t.none, t.distgen, "./...") },
		func() (float64, error) { return t.floor(ctx, t.none, floorScan, ".") })
}

func measureSome(ctx context.Context, t *tree, round int) (sample, error) {
	return inTurns(round,
		func() (float64, error) { return t.cpu(ctx, t.some, t.distgen, "./...") },
		func() (float64, error) { return t.floor(ctx, t.some, floorLoad, t.needy...) })
}

func measureGrowth(ctx context.Context, t *tree, round int) (sample, error) {
	few, more := t.idle[:len(t.idle)/10], t.idle[len(t.idle)/10:]
	return inTurns(round,
		func() (float64, error) {
			return t.cpu(ctx, t.some, t.distgen, slices.Concat(t.needy, few, more)...)
		},
		func() (float64, error) {
			scan, err := t.floor(ctx, t.some, floorScan, more...)
			if err != nil {
				return 0, err
			}
			small, err := t.cpu(ctx, t.some, t.distgen, slices.Concat(t.needy, few)...)
			return scan + small, err
		})
}

// measureVet has go vet look at packages that it has not seen with these flags,
// all else being in the build cache.
func measureVet(ctx context.Context, t *tree, round int) (sample, error) {
	if !t.prepared {
		for _, flags := range [][]string{nil, {"-vettool=" + t.distvet}} {
			if _, err := t.vet(ctx, nil, flags); err != nil {
				return sample{}, err
			}
		}
		t.prepared = true
	}
	// Flags that change nothing but their text.
	ours := []string{"-vettool=" + t.distvet}
	for i, f := range analyzer.Findings {
		if (round+1)>>i&1 == 1 {
			ours = append(ours, "-dist."+string(f.Code)+"=true")
		}
	}
	return inTurns(round,
		func() (float64, error) { return t.vet(ctx, nil, ours) },
		func() (float64, error) {
			return t.vet(ctx, nil, []string{fmt.Sprintf("-printf.funcs=benchRound%d", round+1)})
		})
}

// measureColdVet has go vet look at packages with an empty build cache.
func measureColdVet(ctx context.Context, t *tree, round int) (sample, error) {
	cold := func(flags ...string) func() (float64, error) {
		return func() (float64, error) {
			dir, err := os.MkdirTemp(t.temp, "cold-")
			if err != nil {
				return 0, err
			}
			defer os.RemoveAll(dir)
			return t.vet(ctx, []string{"GOCACHE=" + dir}, flags)
		}
	}
	return inTurns(round, cold("-vettool="+t.distvet), cold())
}

func (t *tree) vet(ctx context.Context, env, flags []string) (float64, error) {
	return t.cpuWith(ctx, env, t.some, "go", slices.Concat([]string{"vet"}, flags, t.needy)...)
}

// walkTests calls fn for the test files below dir that go vet ./... would see,
// and for a directory that is no module of its own for those in it.
func walkTests(dir string, fn func(path string) error) error {
	return filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && p != dir:
			name := e.Name()
			if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				return fs.SkipDir
			}
		case !e.IsDir() && strings.HasSuffix(p, "_test.go"):
			return fn(p)
		}
		return nil
	})
}
