package analyzer

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFileConstraint(t *testing.T) {
	for _, test := range []struct{ name, src, want string }{
		{"a.go", "package p", ""},
		{"a_test.go", "package p", ""},
		{"linux.go", "package p", ""},
		{"linux_test.go", "package p", ""},
		{"a_linux.go", "package p", "linux"},
		{"a_linux_test.go", "package p", "linux"},
		{"a_arm64_test.go", "package p", "arm64"},
		{"a_linux_arm64_test.go", "package p", "linux && arm64"},
		{"a_arm64_linux_test.go", "package p", "linux"},
		{"a_unix_test.go", "package p", ""}, // a tag, and no operating system
		{"a_test_linux.go", "package p", "linux"},
		{"a_linux.pb_test.go", "package p", "linux"},
		{"a.go", "//go:build integration && !race\n\npackage p", "integration && !race"},
		{"a_linux.go", "// Comment.\n\n//go:build a || b\n\npackage p", "(a || b) && linux"},
		{"a.go", "//go:build !distgen\n\npackage p", ""},
		{"a.go", "//go:build !distgen && linux\n\npackage p", "!distgen && linux"},
		{"a.go", "package p\n\n//go:build linux\n", ""},
		{"a.go", "//go:build (\n\npackage p", ""},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), test.name, test.src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := fileConstraint(test.name, f); got != test.want {
			t.Errorf("%s %q: %q, want %q", test.name, test.src, got, test.want)
		}
	}
}

// The lists are copies; the Go tree has the originals.
func TestSystemsAreKnown(t *testing.T) {
	path := filepath.Join(runtime.GOROOT(), "src", "internal", "syslist", "syslist.go")
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if os.IsNotExist(err) {
		t.Skip("the Go tree has no sources here")
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, known := range map[string]map[string]bool{"KnownOS": knownOS, "KnownArch": knownArch} {
		lit := f.Scope.Lookup(name).Decl.(*ast.ValueSpec).Values[0].(*ast.CompositeLit)
		if len(lit.Elts) != len(known) {
			t.Errorf("%s has %d entries, ours %d", name, len(lit.Elts), len(known))
		}
		for _, e := range lit.Elts {
			if word := strings.Trim(e.(*ast.KeyValueExpr).Key.(*ast.BasicLit).Value, `"`); !known[word] {
				t.Errorf("%s lacks %s", name, word)
			}
		}
	}
}

func TestKindOf(t *testing.T) {
	for decl, want := range map[string]testKind{
		"func TestIt(t *testing.T) {}":           'T',
		"func Test(t *testing.T) {}":             'T',
		"func Test1(t *T) {}":                    'T',
		"func TestÄ(*testing.T) {}":              'T',
		"func BenchmarkIt(b *testing.B) {}":      'B',
		"func FuzzIt(f *testing.F) {}":           'F',
		"func Testing(t *testing.T) {}":          0,
		"func Testä(t *testing.T) {}":            0,
		"func TestIt(t testing.T) {}":            0,
		"func TestIt(b *testing.B) {}":           0,
		"func TestIt(t, u *testing.T) {}":        0,
		"func TestIt(t *testing.T) int {}":       0,
		"func TestIt[T any](t *testing.T) {}":    0,
		"func (s suite) TestIt(t *testing.T) {}": 0,
		"func TestMain(m *testing.M) {}":         0,
		"func ExampleIt() {}":                    0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "a_test.go", "package p\n"+decl, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := kindOf(f.Decls[0].(*ast.FuncDecl)); got != want {
			t.Errorf("%s: %q, want %q", decl, got, want)
		}
	}
}
