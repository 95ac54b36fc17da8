package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/distkit/dist/generator"
)

// A batch is packages that one go test can run the distributed tests of and no
// others: none has a test of its own under a name that is distributed in
// another. Mostly there is one batch.
type batch struct {
	packages   []string
	tests      map[string]bool // TestXxx and FuzzXxx, to run
	benchmarks map[string]bool
	others     map[string]bool // names of the packages that are not to run
}

// onlyDistributed returns the command lines of go test that run, of what line
// selects, the tests that need clusters.
func onlyDistributed(line *testLine, packages []*generator.Package) ([]*testLine, error) {
	run, err := selector(line, "run")
	if err != nil {
		return nil, err
	}
	bench, err := selector(line, "bench")
	if err != nil {
		return nil, err
	}
	if line.value("bench") == "" {
		bench = func(string) bool { return false }
	}
	var batches []*batch
	for _, p := range packages {
		b := &batch{
			packages:   []string{p.Path},
			tests:      make(map[string]bool),
			benchmarks: make(map[string]bool),
			others:     make(map[string]bool),
		}
		for _, t := range p.Tests {
			if strings.HasPrefix(t.Name, "Benchmark") {
				if bench(t.Name) {
					b.benchmarks[t.Name] = true
				}
			} else if run(t.Name) {
				b.tests[t.Name] = true
			}
		}
		if len(b.tests)+len(b.benchmarks) == 0 {
			continue
		}
		if err := b.addOthers(p); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(batches, b.fits); i >= 0 {
			batches[i].join(b)
		} else {
			batches = append(batches, b)
		}
	}
	if len(batches) > 1 && line.value("coverprofile") != "" {
		return nil, errors.New("-only with -coverprofile: the packages need a go test each, as tests that need clusters in one have names of tests that do not in another, and each would write the profile anew: name the packages one at a time")
	}
	var lines []*testLine
	for _, b := range batches {
		l := *line
		l.packages = b.packages
		l.set("run", pattern(b.tests))
		if len(b.benchmarks) > 0 {
			l.set("bench", pattern(b.benchmarks))
		} else {
			l.unset("bench")
		}
		lines = append(lines, &l)
	}
	return lines, nil
}

// selector returns what a -run or -bench of the command line selects.
func selector(line *testLine, flag string) (func(name string) bool, error) {
	p := line.value(flag)
	if strings.Contains(p, "/") {
		return nil, fmt.Errorf("-only with -%s=%s: a pattern for subtests says which tests to run by itself: leave out -only", flag, p)
	}
	re, err := regexp.Compile(p)
	if err != nil {
		return nil, fmt.Errorf("-%s: %w", flag, err)
	}
	return re.MatchString, nil
}

// pattern selects exactly the names.
func pattern(names map[string]bool) string {
	if len(names) == 0 {
		return "^$"
	}
	return "^(" + strings.Join(slices.Sorted(maps.Keys(names)), "|") + ")$"
}

// addOthers notes the top-level functions of p's test files that must not run,
// in any build: to take one for too many costs a second go test, no more.
func (b *batch) addOthers(p *generator.Package) error {
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return fmt.Errorf("find the tests of %s: %w", p.Path, err)
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, e.Name()), nil, parser.SkipObjectResolution)
		if f == nil {
			return fmt.Errorf("find the tests of %s: %w", p.Path, err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil && !b.tests[d.Name.Name] && !b.benchmarks[d.Name.Name] {
				b.others[d.Name.Name] = true
			}
		}
	}
	return nil
}

// fits reports whether one go test will do for b and c.
func (b *batch) fits(c *batch) bool {
	return disjoint(b.others, c.tests) && disjoint(b.others, c.benchmarks) &&
		disjoint(c.others, b.tests) && disjoint(c.others, b.benchmarks)
}

func (b *batch) join(c *batch) {
	b.packages = append(b.packages, c.packages...)
	maps.Copy(b.tests, c.tests)
	maps.Copy(b.benchmarks, c.benchmarks)
	maps.Copy(b.others, c.others)
}

func disjoint(a, b map[string]bool) bool {
	for name := range a {
		if b[name] {
			return false
		}
	}
	return true
}
