//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestMain is the test binary's way to be a floor.
func TestMain(m *testing.M) {
	if !beFloor(os.Args[1:]) {
		os.Exit(m.Run())
	}
}

// smallModule stands in for the large one: what counts here is that everything
// can be measured, not how long it takes.
const smallModule = `
-- go.mod --
module example.com/small

go 1.26
-- kv/kv.go --
package kv
-- kv/kv_test.go --
package kv_test
-- a/a_test.go --
package a
-- b/b_test.go --
package b
-- c/c_test.go --
package c
-- d/d_test.go --
package d
-- e/e_test.go --
package e
-- f/f_test.go --
package f
-- g/g_test.go --
package g
-- h/h_test.go --
package h
-- i/i_test.go --
package i
-- j/j_test.go --
package j
-- j/testdata/no_test.go --
package no
-- nested/go.mod --
module example.com/small/nested
-- nested/no_test.go --
package no
`

// TestTreeLines measures the lines about generating and vetting once, but for
// the one that builds everything twice.
func TestTreeLines(t *testing.T) {
	if testing.Short() {
		t.Skip("builds commands and runs go vet")
	}
	source := t.TempDir()
	for _, f := range txtar.Parse([]byte(smallModule)).Files {
		name := filepath.Join(source, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o400); err != nil { // as in the module cache
			t.Fatal(err)
		}
	}
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTree(t.Context(), "example.com/small", source, []string{"kv"}, strings.TrimSpace(string(cache)))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.remove()
	if want := []string{"./a", "./b", "./c", "./d", "./e", "./f", "./g", "./h", "./i", "./j"}; !slices.Equal(tr.idle, want) || tr.tests != 11 {
		t.Errorf("%d test files, %q besides kv; want 11, %q", tr.tests, tr.idle, want)
	}
	if _, err := os.Stat(filepath.Join(tr.some, "kv", "dist_gen_x_test.go")); err != nil {
		t.Errorf("the package that needs a cluster has no bootstrap: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(tr.none, "*", "dist_gen_*")); files != nil {
		t.Errorf("%q where nobody needs a cluster", files)
	}
	in := place{tree: tr}
	for _, l := range lines {
		if l.inTree == nil || l.name == "vet_overhead_cold" {
			continue
		}
		samples, err := in.measure(t.Context(), l, 1)
		if err != nil {
			t.Fatal(err)
		}
		if s := samples[0]; s.ours <= 0 || s.floor <= 0 {
			t.Errorf("%s: %v and %v: some of it was not measured", l.name, s.ours, s.floor)
		}
	}
}

// TestNoModule has nowhere to get the module from.
func TestNoModule(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	var stderr strings.Builder
	if err := run(t.Context(), []string{"-run=distgen|vet"}, io.Discard, &stderr); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"distgen_none", "distgen_some", "distgen_growth", "vet_overhead", "vet_overhead_cold"} {
		if !strings.Contains(stderr.String(), "bench: "+name+" is skipped: ") {
			t.Errorf("nothing is said about %s:\n%s", name, &stderr)
		}
	}
}
