package dist_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README shows the quickstart, and a program that tests run, as they are.
func TestReadme(t *testing.T) {
	readme := readFile(t, "README.md")
	for language, file := range map[string]string{"go": "examples/quickstart/kv_test.go", "toml": "testdata/programs/distributed.toml"} {
		_, code, _ := strings.Cut(readme, "```"+language+"\n")
		code, _, ok := strings.Cut(code, "```")
		if !ok {
			t.Fatalf("the README has no %s", language)
		}
		source := readFile(t, filepath.FromSlash(file))
		for line := range strings.Lines(code) {
			_, rest, ok := strings.Cut(source, line)
			if !ok {
				t.Errorf("not in %s, or not in this order: %s", file, line)
				continue
			}
			source = rest
		}
	}
}

// Links between the documents lead somewhere.
func TestDocumentsLinkToFiles(t *testing.T) {
	docs, err := filepath.Glob("docs/*.md")
	if err == nil {
		var guide []string
		guide, err = filepath.Glob("docs/guide/*.md")
		docs = append(docs, guide...)
	}
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for _, doc := range append(docs, "README.md") {
		for _, m := range link.FindAllStringSubmatch(readFile(t, doc), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", doc, m[1], err)
			}
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
