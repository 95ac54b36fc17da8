package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/distkit/dist/bench/suite"
)

// A binary is a test binary with the suite in it.
type binary struct {
	pkg  string // import path
	dir  string // the package's: where its tests work
	path string
	size int64 // bytes
	temp string
	race bool
}

func (b *binary) remove() { os.RemoveAll(b.temp) }

// defaults are tried in turn.
var defaults = []string{"./examples/raft", "./bench/standin"}

// overlaid is the file that the overlay adds to a package. Package
// initialisation takes files by name, so that it comes last.
const overlaid = "zz_dist_bench_test.go"

var overlay = `package %s

import (
	"testing"

	"github.com/distkit/dist/bench/suite"
)

func init() { suite.Init() }

func ` + suite.Test + `(t *testing.T) { suite.Run(t) }
`

// build compiles the test binary of the package in dir, relative to the root
// of this module, with the suite added to it.
func build(ctx context.Context, dir string, race bool) (*binary, error) {
	root, err := goList(ctx, ".", "{{.Module.Dir}}", "github.com/distkit/dist/bench")
	if err != nil {
		return nil, err
	}
	if dir == "" {
		for _, dir = range defaults {
			if mains, _ := filepath.Glob(filepath.Join(root, dir, "*_test.go")); len(mains) > 0 {
				break
			}
		}
		dir = filepath.Join(root, dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	name, err := testPackage(dir)
	if err != nil {
		return nil, err
	}
	b := &binary{dir: dir, race: race}
	if b.pkg, err = goList(ctx, dir, "{{.ImportPath}}", "."); err != nil {
		return nil, err
	}
	if b.temp, err = os.MkdirTemp("", "dist-bench-"); err != nil {
		return nil, err
	}
	b.path = filepath.Join(b.temp, filepath.Base(dir)+".test")
	if err := b.compile(ctx, name); err != nil {
		b.remove()
		return nil, err
	}
	return b, nil
}

func (b *binary) compile(ctx context.Context, name string) error {
	source := filepath.Join(b.temp, overlaid)
	if err := os.WriteFile(source, fmt.Appendf(nil, overlay, name), 0o600); err != nil {
		return err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(b.dir, overlaid): source}})
	if err != nil {
		return err
	}
	file := filepath.Join(b.temp, "overlay.json")
	if err := os.WriteFile(file, replace, 0o600); err != nil {
		return err
	}
	// Built as go test builds what it runs: without the symbol table.
	args := []string{"test", "-c", "-ldflags=-s -w", "-overlay", file, "-o", b.path}
	if b.race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the test binary of %s: %w\n%s", b.pkg, err, out)
	}
	info, err := os.Stat(b.path)
	if err != nil {
		return err
	}
	b.size = info.Size()
	return nil
}

var (
	testMain    = regexp.MustCompile(`(?m)^func TestMain\(`)
	packageName = regexp.MustCompile(`(?m)^package (\w+)`)
)

// testPackage finds the name of the package that TestMain is in: p or p_test.
// Package initialisation ends with it.
func testPackage(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if name := packageName.FindSubmatch(b); testMain.Match(b) && name != nil {
			return string(name[1]), nil
		}
	}
	return "", fmt.Errorf("%s: no test file has a TestMain: run go generate there first", dir)
}

func goList(ctx context.Context, dir, format, pkg string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", format, pkg)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list %s: %w", pkg, err)
	}
	return strings.TrimSpace(string(out)), nil
}
