package generator

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/google/go-cmp/cmp"
)

var record = flag.Bool("record", false, "write what was generated into testdata/golden instead of comparing")

// TestGolden generates for each module in testdata/golden. A case is a txtar
// archive: the files of a module, and under want/ what is to come of it:
//
//   - want/<path>: the contents of a generated file;
//   - want/removed: the files to be removed, one a line;
//   - want/errors: the mistakes reported, one a line;
//   - want/plan: the requirement table.
//
// The archive's comment may set flags: "tags: a,b" and "patterns: ./x ./y".
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			golden(t, name)
		})
	}
}

func golden(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	want := make(map[string]string)
	var sources []txtar.File
	for _, f := range archive.Files {
		if path, ok := strings.CutPrefix(f.Name, "want/"); ok {
			want[path] = string(f.Data)
			continue
		}
		sources = append(sources, f)
		write(t, filepath.Join(dir, f.Name), f.Data)
	}
	addStubModule(t, dir)

	opts := Options{Dir: dir, Env: hermeticEnv(), Patterns: []string{"./..."}}
	for line := range strings.Lines(string(archive.Comment)) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "tags: "); ok {
			opts.Tags = v
		}
		if v, ok := strings.CutPrefix(line, "patterns: "); ok {
			opts.Patterns = strings.Fields(v)
		}
	}
	pkgs, err := Generate(t.Context(), opts)
	got := describe(t, dir, pkgs, err)
	if *record {
		recordCase(t, name, archive, sources, got)
		return
	}
	for path, text := range got {
		if diff := cmp.Diff(want[path], text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for path := range want {
		if _, ok := got[path]; !ok {
			t.Errorf("%s: wanted, but not generated", path)
		}
	}
	if err != nil || t.Failed() {
		return
	}

	// What was generated compiles, and nothing is left to generate.
	for _, p := range pkgs {
		for i := range p.Files {
			if err := p.Files[i].Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	vet := exec.CommandContext(t.Context(), "go", "vet", "-tags="+opts.Tags, "./...")
	vet.Dir, vet.Env = dir, opts.Env
	if out, err := vet.CombinedOutput(); err != nil && !bytes.Contains(out, []byte("no packages to vet")) {
		t.Errorf("what was generated does not compile: %v\n%s", err, out)
	}
	again, err := Generate(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for path := range Overlay(again) {
		t.Errorf("%s: differs when generated again", path)
	}
}

// describe returns what Generate found out in the terms of the want files.
func describe(t *testing.T, dir string, pkgs []*Package, err error) map[string]string {
	got := make(map[string]string)
	var removed, plan strings.Builder
	for _, p := range pkgs {
		for _, f := range p.Files {
			rel := filepath.ToSlash(relative(dir, f.Path))
			if f.New == nil {
				fmt.Fprintln(&removed, rel)
			} else {
				got[rel] = string(f.New)
			}
		}
		for _, test := range p.Tests {
			fmt.Fprintf(&plan, "%v: %s %s nodes=%d: %s\n", test.Pos, test.Package, test.Name, test.Requirement.Nodes, test.Why)
		}
	}
	if removed.Len() > 0 {
		got["removed"] = removed.String()
	}
	if plan.Len() > 0 {
		got["plan"] = filepath.ToSlash(plan.String())
	}
	if err != nil {
		if !errors.As(err, new(Errors)) {
			t.Fatal(err)
		}
		got["errors"] = filepath.ToSlash(err.Error()) + "\n"
	}
	return got
}

func recordCase(t *testing.T, name string, archive *txtar.Archive, sources []txtar.File, got map[string]string) {
	archive.Files = sources
	for _, path := range slices.Sorted(maps.Keys(got)) {
		archive.Files = append(archive.Files, txtar.File{Name: "want/" + path, Data: []byte(got[path])})
	}
	if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// addStubModule makes the module in dir require the stub in testdata/dist, in a
// directory that wildcards pass over.
func addStubModule(t *testing.T, dir string) {
	t.Helper()
	stub := filepath.Join(dir, ".dist")
	if err := os.CopyFS(stub, os.DirFS("testdata/dist")); err != nil {
		t.Fatal(err)
	}
	types, err := os.ReadFile("../requirement/requirement.go")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(stub, "requirement", "requirement.go"), types)
	gomod := filepath.Join(dir, "go.mod")
	if _, err := os.Stat(gomod); err != nil {
		write(t, gomod, []byte("module example.com/m\n\ngo 1.26.0\n\n"+
			"require github.com/distkit/dist v0.0.0\n\nreplace github.com/distkit/dist => ./.dist\n"))
	}
}

// hermeticEnv is the environment without what could reach the network or the
// flags of whoever runs these tests.
func hermeticEnv() []string {
	return append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
