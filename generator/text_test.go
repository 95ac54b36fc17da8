package generator

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// asksRE says in one line what asksFor looks for.
var asksRE = regexp.MustCompile("(?i)//[ \t]*dist[ \t]*:|[\"`](?-i:" + regexp.QuoteMeta(distPath) + ")[\"`]")

func TestAsksFor(t *testing.T) {
	for _, text := range []string{
		"", "/", "//", "//dist", "//dist:", "//dist:nodes=3", "// \tDiSt \t: nodes", "/// dist:", "//-dist:", "// dist.Require: x", "//dis", "// dist ;",
		"// a // dist:nodes=3", "////dist:", "/ /dist:", "//\ndist:", "//dist\n:",
		`"github.com/distkit/dist"`, "`github.com/distkit/dist`", "`github.com/distkit/dist\"", `"github.com/distkit/dist`, `github.com/distkit/dist"`,
		`"github.com/distkit/dist/runtime"`, `"github.com/distkit/dist/runtime" "github.com/distkit/dist"`, `"GitHub.com/distkit/dist"`,
	} {
		if got, want := asksFor([]byte(text)), asksRE.MatchString(text); got != want {
			t.Errorf("asksFor(%q) = %v, want %v", text, got, want)
		}
	}
}

func FuzzAsksFor(f *testing.F) {
	f.Add("package a // dist:nodes\nimport \"github.com/distkit/dist\"")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 'ſ') {
			t.Skip("regular expressions fold the long s, too")
		}
		if got, want := asksFor([]byte(text)), asksRE.MatchString(text); got != want {
			t.Errorf("asksFor(%q) = %v, want %v", text, got, want)
		}
	})
}

// parsedImports is what importsIn should find in a file that is right.
func parsedImports(t *testing.T, name string, text []byte) ([]string, bool) {
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
	if err != nil {
		return nil, false
	}
	var paths []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		paths = append(paths, p)
	}
	return paths, true
}

func TestImportsIn(t *testing.T) {
	for _, text := range []string{
		"package a",
		"package a\n",
		"// comment\n\n/* more */ package a; import \"x\"; func f() {}",
		"package a\nimport \"x\"\nimport (\n\t. \"y\"\n\t_ `z`\n\tn \"n/n\" // why\n)\nvar v = \"import\"\n",
		"package a\r\n\r\nimport (\r\n\t\"x\"\r\n\r\n\t/* and */ \"y\"\r\n)\r\n\r\ntype t int\r\n",
		"package a\nimport ()\nimport (\"x\"; \"y\")\nconst c = `\nimport \"no\"`\n",
		"\ufeffpackage a\n// #include <x.h>\nimport \"C\"\nimport \"x\"\nfunc imports() {}\n",
	} {
		want, ok := parsedImports(t, "a.go", []byte(text))
		if !ok {
			t.Fatalf("%q does not parse", text)
		}
		if got, _ := importsIn([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("importsIn(%q) = %q, want %q", text, got, want)
		}
		// What was cut off may be another import, unless it says that it is not.
		for i := range len(text) {
			if got, whole := importsIn([]byte(text[:i])); whole && !slices.Equal(got, want) {
				t.Errorf("importsIn(%q) = %q and no more, want %q", text[:i], got, want)
			}
		}
	}
	for _, text := range []string{"", "package", "package 3", "import \"x\"", "package a\nimport", "package a\nimport (", "package a\nimport x", "package a\nimport (\"x\"", "package a\nimport \"x", "\x00\xff(", "package a\nimport (((", "package a\nimport (x x"} {
		if got, whole := importsIn([]byte(text)); whole {
			t.Errorf("importsIn(%q) = %q, and claims to have seen the end", text, got)
		}
	}
}

// TestImportsOf compares with the parser over files of all kinds.
func TestImportsOf(t *testing.T) {
	files := 0
	for _, dir := range []string{"net/http", "runtime", "crypto/tls", "go/parser/testdata", "internal/types/testdata/check"} {
		names, err := filepath.Glob(filepath.Join(runtime.GOROOT(), "src", filepath.FromSlash(dir), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		s := newScanner(dir, nil)
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, ok := parsedImports(t, name, text)
			if !ok {
				continue
			}
			files++
			if got, err := s.importsOf(name); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s imports %q (%v), want %q", name, got, err, want)
			}
		}
	}
	if files == 0 {
		t.Skip("the source of the standard library is not there")
	}
	// Imports that begin beyond what is read first.
	name := filepath.Join(t.TempDir(), "long.go")
	for _, size := range []int{headSize - 10, headSize, 3 * headSize, 200 << 10} {
		write(t, name, []byte("package a\nimport \"x\"\n/*"+strings.Repeat("-", size)+"*/ import \"y\"\nvar v int\n"))
		if got, err := newScanner("", nil).importsOf(name); err != nil || !slices.Equal(got, []string{"x", "y"}) {
			t.Errorf("behind %d bytes: imports %q (%v)", size, got, err)
		}
	}
}
