package generator

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// tree writes the files of a txtar archive into a directory.
func tree(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		write(t, filepath.Join(dir, f.Name), f.Data)
	}
	return dir
}

// asking returns the directories that a scan finds to ask for clusters.
func asking(t *testing.T, s *scanner) []string {
	t.Helper()
	var out []string
	for _, d := range s.found() {
		if d.asks {
			out = append(out, filepath.ToSlash(relative(s.dir, d.path)))
		}
	}
	return out
}

func TestScanPatterns(t *testing.T) {
	dir := tree(t, `
-- go.mod --
module example.com/m
ignore ./only/here
ignore anywhere
-- a_test.go --
package m // "github.com/distkit/dist"
-- a/a_test.go --
package a //dist:nodes=3
-- a/b/b_test.go --
package b // dist: nodes=3
-- a/bc/b_test.go --
package b //Dist:nodes=3
-- a/d/a_test.go --
package d // distkit, dist.Require, "github.com/distkit/distribution", and `+"`github.com/distkit/dist/runtime`"+`
-- a/testdata/a_test.go --
package a // "github.com/distkit/dist"
-- a/_a/a_test.go --
package a // "github.com/distkit/dist"
-- a/.a/a_test.go --
package a // "github.com/distkit/dist"
-- a/vendor/v/a_test.go --
package a // "github.com/distkit/dist"
-- nested/go.mod --
module example.com/nested
-- nested/a_test.go --
package a // "github.com/distkit/dist"
-- only/here/a_test.go --
package a // "github.com/distkit/dist"
-- x/only/here/a_test.go --
package a // "github.com/distkit/dist"
-- x/anywhere/a_test.go --
package a // "github.com/distkit/dist"
-- nottest/a.go --
package a // "github.com/distkit/dist"
`)
	tests := []struct {
		patterns []string
		want     []string
	}{
		{[]string{"."}, []string{"."}},
		{[]string{"./..."}, []string{".", "a", "a/b", "a/bc", "x/only/here"}},
		{[]string{"./a/..."}, []string{"a", "a/b", "a/bc"}},
		{[]string{"./a/b..."}, []string{"a/b", "a/bc"}},
		{[]string{"./.../b"}, []string{"a/b"}},
		{[]string{"./a", "./a/b", "./a"}, []string{"a", "a/b"}},
		{[]string{"./a/d"}, nil},
		{[]string{"./a/testdata"}, []string{"a/testdata"}},
		{[]string{"./nested/..."}, []string{"nested"}},
		{[]string{filepath.Join(dir, "a", "...")}, []string{"a", "a/b", "a/bc"}},
	}
	for _, test := range tests {
		s := newScanner(dir, nil)
		if err := s.scan(t.Context(), os.Environ(), test.patterns); err != nil {
			t.Errorf("%v: %v", test.patterns, err)
			continue
		}
		if diff := cmp.Diff(test.want, asking(t, s)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.patterns, diff)
		}
	}
}

// TestScanHelpers has tests that mention dist nowhere: they come to it through
// packages of their module.
func TestScanHelpers(t *testing.T) {
	dir := tree(t, `
-- go.mod --
module example.com/m
-- cluster/cluster.go --
package cluster
import "github.com/distkit/dist"
-- cluster/cluster_test.go --
package cluster
import "testing"
-- fixture/fixture.go --
package fixture
import "example.com/m/cluster"
-- near/a_test.go --
package near
import "example.com/m/cluster"
-- far/a_test.go --
package far_test
import "example.com/m/fixture"
-- through/a.go --
package through
import "example.com/m/fixture"
-- through/a_test.go --
package through
-- none/a_test.go --
package none
import "example.com/m/plain"
-- plain/plain.go --
package plain
import "example.org/other/cluster"
-- tested/a_test.go --
package tested // of a helper only its own tests mention dist
import "example.com/m/testers"
-- testers/a.go --
package testers
-- testers/a_test.go --
package testers
import "example.com/m/cluster"
`)
	s := newScanner(dir, nil)
	if err := s.scan(t.Context(), os.Environ(), []string{"./..."}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cluster", "far", "near", "testers", "through"}, asking(t, s)); diff != "" {
		t.Errorf("asking (-want +got):\n%s", diff)
	}

	// From one package the way is found without a look at the others.
	s = newScanner(dir, nil)
	if err := s.scan(t.Context(), os.Environ(), []string{"./far"}); err != nil {
		t.Fatal(err)
	}
	helpers := s.helpers()
	for i, h := range helpers {
		helpers[i] = filepath.ToSlash(relative(dir, h))
	}
	if diff := cmp.Diff([]string{"cluster", "fixture"}, helpers); diff != "" {
		t.Errorf("helpers (-want +got):\n%s", diff)
	}
	if slices.Contains(asking(t, s), "near") {
		t.Error("a package that was not asked for was scanned")
	}
}
