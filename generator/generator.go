package generator

import (
	"bytes"
	"context"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distkit/dist/requirement"
)

// Options say where to look and how to load. The zero value means the package
// in the current directory, in the environment of this process.
type Options struct {
	Dir      string   // directory that patterns are relative to; "": the current one
	Env      []string // environment of the go command; nil: that of this process
	Tags     string   // build tags, separated by commas, as go build -tags takes them
	Patterns []string // packages, as go test names them; none: "."
}

// A Package is one directory: the package, its external test package, and what
// the bootstrap files of the two should be.
type Package struct {
	Dir   string // absolute
	Path  string // import path, without _test; "" if nothing had to be loaded
	Tests []Test // of the package first, then of its external test package
	Files []File // every file that is, or should be, a bootstrap; by path
}

// A Test is a test that needs a cluster: what it needs, and for what reason.
type Test struct {
	requirement.Test
	Package string         // import path, with _test for the external test package
	Pos     token.Position // of the directive or call that decided it; Filename is relative to Options.Dir where it lies below
	Why     string
}

// A File is what one bootstrap file is and what it should be.
type File struct {
	Path string // absolute
	Old  []byte // what is on disk; nil if nothing is
	New  []byte // what should be; nil if nothing should
}

// Stale reports whether the file on disk is not what it should be. Line endings
// do not count: a checkout may have translated them.
func (f *File) Stale() bool {
	if f.Old == nil || f.New == nil {
		return (f.Old == nil) != (f.New == nil)
	}
	return !bytes.Equal(f.Old, f.New) &&
		!bytes.Equal(bytes.ReplaceAll(f.Old, []byte("\r\n"), []byte("\n")), f.New)
}

// Overlay returns what has to be laid over the files on disk for them to be as
// they should: contents by absolute path, nil for a file that should not be.
// It is empty when nothing is stale.
func Overlay(pkgs []*Package) map[string][]byte {
	over := make(map[string][]byte)
	for _, p := range pkgs {
		for i := range p.Files {
			if f := &p.Files[i]; f.Stale() {
				over[f.Path] = f.New
			}
		}
	}
	return over
}

// Generate returns the packages among those the patterns name that have, or
// should have, bootstrap files, sorted by directory. Nothing on disk changes.
//
// Mistakes in the packages are returned as [Errors]. A package that has any is
// left out, the others are complete all the same. Any other error means that
// nothing could be found out at all.
func Generate(ctx context.Context, opts Options) ([]*Package, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the directory to work in: %w", err)
	}
	env := opts.Env
	if env == nil {
		env = os.Environ()
	}
	patterns := opts.Patterns
	if len(patterns) == 0 {
		patterns = []string{"."}
	}

	s := newScanner(dir, env)
	if err := s.scan(ctx, env, patterns); err != nil {
		return nil, err
	}
	g := &generation{dir: dir, env: env, tags: opts.Tags}

	// Directories whose bootstraps nobody can need any more are settled without
	// loading anything.
	var toLoad []*directory
	for _, d := range s.found() {
		foreign := d.foreign()
		for _, f := range foreign {
			g.errors.add(token.Position{Filename: f.path, Line: 1, Column: 1},
				"not written by distgen, which needs this name: rename or remove the file")
		}
		switch {
		case len(foreign) > 0:
		case d.asks:
			toLoad = append(toLoad, d)
		case len(d.bootstraps) > 0:
			g.packages = append(g.packages, &Package{Dir: d.path, Files: d.files(nil, nil)})
		}
	}
	if len(toLoad) > 0 {
		if err := g.load(ctx, toLoad, s.helpers()); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(g.packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	if err := g.errors.list(dir); err != nil {
		return g.packages, err
	}
	return g.packages, nil
}

// A generation is the work of one call of Generate.
type generation struct {
	dir      string // absolute
	env      []string
	tags     string
	packages []*Package
	errors   errorList
}
