package generator

import (
	"bytes"
	"go/token"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dave/jennifer/jen"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/go/packages"
)

func TestPosition(t *testing.T) {
	dir := t.TempDir()
	abs := filepath.Join(dir, "x", "a.go")
	tests := []struct {
		in   string
		want token.Position
	}{
		{"", token.Position{}},
		{"-", token.Position{}},
		{"a.go", token.Position{Filename: filepath.Join(dir, "a.go")}},
		{"a.go:3", token.Position{Filename: filepath.Join(dir, "a.go"), Line: 3}},
		{"./a.go:3:7", token.Position{Filename: filepath.Join(dir, "a.go"), Line: 3, Column: 7}},
		{abs + ":3:7", token.Position{Filename: abs, Line: 3, Column: 7}},
	}
	for _, test := range tests {
		if got := position(dir, test.in); got != test.want {
			t.Errorf("position(%q) = %+v, want %+v", test.in, got, test.want)
		}
	}
}

func TestErrorsAreSortedAndSaidOnce(t *testing.T) {
	dir := t.TempDir()
	var l errorList
	l.add(token.Position{Filename: filepath.Join(dir, "b.go"), Line: 10, Column: 1}, "second")
	l.add(token.Position{Filename: filepath.Join(dir, "b.go"), Line: 9, Column: 1, Offset: 5}, "first")
	l.add(token.Position{Filename: filepath.Join(dir, "b.go"), Line: 9, Column: 1}, "first")
	l.add(token.Position{}, "nowhere")
	want := "nowhere\nb.go:9:1: first\nb.go:10:1: second"
	if diff := cmp.Diff(want, l.list(dir).Error()); diff != "" {
		t.Error(diff)
	}
	if err := new(errorList).list(dir); err != nil {
		t.Errorf("no mistakes make the error %v", err)
	}
}

func TestDurationExpr(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second:             "time.Second",
		30 * time.Second:        "30 * time.Second",
		90 * time.Second:        "90 * time.Second",
		2 * time.Hour:           "2 * time.Hour",
		1500 * time.Millisecond: "1500 * time.Millisecond",
		7:                       "7 * time.Nanosecond",
	} {
		f := jen.NewFile("p")
		f.Var().Id("x").Op("=").Add(durationExpr(d))
		var b bytes.Buffer
		if err := f.Render(&b); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b.Bytes(), []byte("x = "+want+"\n")) {
			t.Errorf("%v is rendered as\n%s", d, &b)
		}
	}
}

func TestCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dist_gen_test.go")
	write := &File{Path: path, New: []byte("package p\n")}
	if got := Overlay([]*Package{{Files: []File{*write}}}); string(got[path]) != "package p\n" {
		t.Errorf("overlay of a missing file: %q", got)
	}
	if err := write.Commit(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "package p\n" {
		t.Errorf("wrote %q", data)
	}
	if perm := info.Mode().Perm(); perm&0o600 != 0o600 || perm&0o133 != 0 {
		t.Errorf("mode %v, want 0644 less the umask", perm)
	}

	right := &File{Path: path, Old: []byte("package p\r\n"), New: []byte("package p\n")}
	if err := right.Commit(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(path); err != nil || !os.SameFile(info, again) {
		t.Errorf("a file that was right was replaced (%v)", err)
	}
	if got := Overlay([]*Package{{Files: []File{*right}}}); len(got) > 0 {
		t.Errorf("overlay of a file that is right: %q", got)
	}

	gone := &File{Path: path, Old: []byte("package p\n")}
	if content, ok := Overlay([]*Package{{Files: []File{*gone}}})[path]; !ok || content != nil {
		t.Errorf("overlay of a file to be removed: %q, %v", content, ok)
	}
	for range 2 { // removing what is gone is no mistake
		if err := gone.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is still there")
	}

	if err := (&File{Path: filepath.Join(path, "no", "such"), New: []byte("x")}).Commit(); err == nil {
		t.Error("writing into a missing directory succeeded")
	}
}

// TestLoadMode holds on to what loading is not to cost: with NeedDeps all that
// is imported would be type-checked from its source.
func TestLoadMode(t *testing.T) {
	if loadMode&packages.NeedDeps != 0 {
		t.Error("what tests import is loaded from its source")
	}
}
