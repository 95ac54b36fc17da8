package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/requirement"
)

func TestOnlyDistributed(t *testing.T) {
	// The tests of each package; those marked * need clusters.
	root := t.TempDir()
	newPackage := func(name string, tests ...string) *generator.Package {
		p := &generator.Package{Path: name, Dir: filepath.Join(root, name)}
		source := "package p\n"
		for _, test := range tests {
			test, needs := strings.CutPrefix(test, "*")
			if needs {
				p.Tests = append(p.Tests, generator.Test{Test: requirement.Test{Name: test}, Package: name})
			}
			source += "func " + test + "() {}\n"
		}
		if err := os.MkdirAll(p.Dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Dir, "p_test.go"), []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
		return p
	}
	packages := []*generator.Package{
		newPackage("a", "*TestA", "*FuzzA", "TestPlain", "*BenchmarkA"),
		newPackage("b", "*TestB", "*TestA", "BenchmarkB"),
		newPackage("c", "*TestC", "TestB"), // clashes with b
		newPackage("d", "TestD"),
	}
	for _, c := range []struct{ args, want string }{
		{"./...", "a b -run=^(FuzzA|TestA|TestB)$\nc -run=^(TestC)$"},
		{"-v -run=A ./...", "a b -v -run=^(FuzzA|TestA)$"},
		{"-run C -count=2 ./...", "c -count=2 -run=^(TestC)$"},
		{"-run=^$ -bench=. ./...", "a -run=^$ -bench=^(BenchmarkA)$"},
		{"-run=Nothing ./...", ""},
		{"-run=C ./... -custom val", "c -run=^(TestC)$ -custom val"},
		{"-run=A/sub ./...", "error: -only with -run=A/sub: a pattern for subtests"},
		{"-run=( ./...", "error: -run: error parsing regexp"},
		{"-coverprofile=c.out ./...", "error: -only with -coverprofile: "},
		{"-coverprofile=c.out -run=A ./...", "a b -coverprofile=c.out -run=^(FuzzA|TestA)$"},
	} {
		line, err := parseTestLine(strings.Fields(c.args), newFlags("test"))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := onlyDistributed(line, packages)
		if want, ok := strings.CutPrefix(c.want, "error: "); ok {
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: error %v, want %s", c.args, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		var got []string
		for _, l := range lines {
			got = append(got, strings.Join(l.goTest()[1:], " "))
		}
		if got := strings.Join(got, "\n"); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.args, got, c.want)
		}
	}
}
