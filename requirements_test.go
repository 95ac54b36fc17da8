package dist_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist"
)

// TestRequirements holds docs/requirements.md to the tests: each line has some,
// and those that it names are there. A test is named by its file and its
// function, after a slash the name of a subtest as it stands in the file; a
// script of the command by its file.
func TestRequirements(t *testing.T) {
	file := regexp.MustCompile(`^\[[^]]+\]\(\.\./([^)]+)\)(?:: (.+))?$`)
	name := regexp.MustCompile("^`([A-Z]\\w*)(?:/([^`]+))?`(?:, |$)")
	section, line, rows := 0, 0, 0
	for row := range strings.Lines(readFile(t, "docs/requirements.md")) {
		if strings.HasPrefix(row, "## ") {
			section, line = section+1, 0
			if !strings.HasPrefix(row, fmt.Sprintf("## %d. ", section)) {
				t.Errorf("section %d is called %q", section, row)
			}
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
		if section == 0 || len(cells) != 3 || strings.HasPrefix(cells[0], "-") || strings.TrimSpace(cells[0]) == "" {
			continue
		}
		line++
		rows++
		id := strings.TrimSpace(cells[0])
		if id != fmt.Sprintf("%d.%d", section, line) {
			t.Errorf("line %d of section %d is called %s", line, section, id)
		}
		for shown := range strings.SplitSeq(strings.TrimSpace(cells[2]), "; ") {
			m := file.FindStringSubmatch(shown)
			if m == nil {
				t.Errorf("%s: %q is no link to a file with tests", id, shown)
				continue
			}
			source, err := os.ReadFile(filepath.FromSlash(m[1]))
			switch {
			case err != nil:
				t.Errorf("%s: %v", id, err)
			case m[2] == "" && !strings.HasSuffix(m[1], ".txtar"):
				t.Errorf("%s: no test of %s is named", id, m[1])
			case m[2] != "":
				have := testsIn(t, m[1], source)
				for rest := m[2]; rest != ""; {
					n := name.FindStringSubmatch(rest)
					if n == nil {
						t.Errorf("%s: %q does not begin with a test's name", id, rest)
						break
					}
					if !have[n[1]] {
						t.Errorf("%s: %s has no %s", id, m[1], n[1])
					}
					if n[2] != "" && !strings.Contains(string(source), strconv.Quote(n[2])) {
						t.Errorf("%s: %s has no subtest %q", id, m[1], n[2])
					}
					rest = rest[len(n[0]):]
				}
			}
		}
	}
	if rows == 0 || section != 10 {
		t.Errorf("%d lines in %d sections; there are ten requirements", rows, section)
	}
}

// testsIn returns the names of the tests, benchmarks and fuzz targets of a file.
func testsIn(t *testing.T, name string, source []byte) map[string]bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && regexp.MustCompile(`^(Test|Benchmark|Fuzz)`).MatchString(fn.Name.Name) {
			have[fn.Name.Name] = true
		}
	}
	return have
}

// The largest cluster that one may ask for by default is there in less time than
// one may have to wait by default.
//
//dist:nodes=16 ports=tcp timeout=30s
func TestLargestClusterInTime(t *testing.T) {
	t.Setenv("DIST_CI_MAX_NODES", "16") // CI has fewer by default
	before := time.Now()
	c := dist.Require(t)
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(before)
	t.Logf("16 nodes in %v", took)
	if c.Size() != 16 || took > 30*time.Second {
		t.Errorf("%d nodes in %v; want 16 in less than 30s", c.Size(), took)
	}
}
