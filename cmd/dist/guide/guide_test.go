// Package guide holds the pages of docs/guide to what they say. It has tests only.
package guide

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/distkit/dist/cmd/internal/script"
)

// guide has, for each page, the directory of examples/guide in which its commands
// are run: a copy, in a module without a workspace. The first page brings its own
// files and begins from nothing.
var guide = map[string]string{
	"first-test.md":               "",
	"service-under-test.md":       "store",
	"faults.md":                   "faults",
	"ci.md":                       "store",
	"debugging-a-flake.md":        "flake",
	"from-a-home-made-harness.md": "beside",
	"from-testcontainers.md":      "store",
}

// TestGuide does what the pages of docs/guide say, to the letter: commands of a
// block "sh" have to succeed; a block "console" has commands, after "$ ", and
// lines that each of them prints.
func TestGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs test binaries")
	}
	root := script.Repository(t)
	bin := filepath.Dir(script.Build(t, "github.com/distkit/dist/cmd/dist"))
	pages, err := filepath.Glob(filepath.Join(root, "docs", "guide", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	goenv := script.GoEnv(t, "GOMODCACHE", "GOCACHE", "GOPROXY")
	caches, proxy := goenv[:2], goenv[2]
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			dir, ok := guide[filepath.Base(page)]
			if !ok {
				t.Fatal("the page is not in the table of this test")
			}
			// Not below the directory of the tests: a test that reads in its own
			// module would not be cached. The path has a space.
			home, err := os.MkdirTemp("", "dist guide ")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(home) })
			s := &session{t: t, dir: filepath.Join(home, "src")}
			s.env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "HOME="+home, "XDG_CACHE_HOME=", "TMPDIR="+home, "CI=", "GITHUB_ACTIONS=")
			s.env = append(append(s.env, script.Offline...), caches...)
			if dir == "" { // it runs go mod tidy, which may look for tests of dependencies
				s.env = append(s.env, "GOFLAGS=", proxy)
			}
			if strings.HasPrefix(filepath.Base(page), "ci") {
				s.env = append(s.env, "CI=true")
			}
			s.replace = strings.NewReplacer("/path/to/dist", "'"+root+"'")
			if dir != "" {
				s.copyExamples(root)
				s.dir = filepath.Join(s.dir, "guide", dir)
			} else if err := os.Mkdir(s.dir, 0o777); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.run("dist down -all -force") })
			for _, b := range blocksOf(string(text)) {
				switch {
				case b.file != "" && dir == "":
					if err := os.WriteFile(filepath.Join(s.dir, b.file), []byte(b.text), 0o666); err != nil {
						t.Fatal(err)
					}
				case b.language == "sh":
					if out, err := s.run(b.text); err != nil {
						t.Fatalf("line %d: %v\n%s\n%s", b.line, err, b.text, out)
					}
				case b.language == "yaml":
					for _, m := range regexp.MustCompile(`(?m)^ *- run: (.*)$`).FindAllStringSubmatch(b.text, -1) {
						if out, err := s.run(m[1]); err != nil {
							t.Fatalf("line %d: %s: %v\n%s", b.line, m[1], err, out)
						}
					}
				case b.language == "console":
					s.console(b)
				}
			}
		})
	}
}

// A block is fenced code of a page, with the line where it begins. A file is
// named by the line before it: "**name**".
type block struct {
	language, file, text string
	line                 int
}

func blocksOf(page string) (blocks []block) {
	named := regexp.MustCompile(`^\*\*([\w.]+)\*\*$`)
	var b *block
	file := ""
	n := 0
	for line := range strings.Lines(page) {
		n++
		language, fence := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "```")
		switch {
		case fence && b == nil:
			b = &block{language: language, file: file, line: n}
		case fence:
			blocks = append(blocks, *b)
			b, file = nil, ""
		case b != nil:
			b.text += line
		case strings.TrimSpace(line) != "":
			file = ""
			if m := named.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				file = m[1]
			}
		}
	}
	return blocks
}

// A session is what somebody at a terminal does.
type session struct {
	t       *testing.T
	dir     string
	env     []string
	replace *strings.Replacer
}

func (s *session) run(commands string) (string, error) {
	cmd := exec.Command("sh", "-ec", s.replace.Replace(commands))
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// console runs the commands of a block, whatever their status, and fails unless
// they print what the block has: times, numbers, ids and addresses are others
// each time, and "…" is what is left out.
func (s *session) console(b block) {
	s.t.Helper()
	out := ""
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(line)
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			out, _ = s.run(command)
			continue
		}
		if line == "" || line == "…" {
			continue
		}
		pattern := regexp.QuoteMeta(changing.ReplaceAllString(line, "\x00"))
		pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, "\x00", `\S+`), "…", ".*")
		pattern = regexp.MustCompile(`\s+`).ReplaceAllString(pattern, `\s+`)
		if !regexp.MustCompile(pattern).MatchString(out) {
			s.t.Errorf("line %d: %q is not what is printed:\n%s", b.line, line, out)
		}
	}
}

// changing is what is another each time.
var changing = regexp.MustCompile(strings.Join([]string{
	`\b[a-z2-7]{16}\b`,                 // an id
	`\d+(\.\d+)?(ns|µs|ms|s|h|m\d+)\b`, // a duration
	`(/[\w.-]+){2,}`,                   // a path
	`127\.\d+\.\d+\.\d+:\d+`,           // an address
	`\b\d{3,}(\.\d+)?\b`,               // a process
}, "|"))

// copyExamples makes a module of what the guide's examples are.
func (s *session) copyExamples(root string) {
	s.t.Helper()
	examples := filepath.Join(root, "examples")
	for _, dir := range []string{"guide", "quickstart"} {
		if err := os.CopyFS(filepath.Join(s.dir, dir), os.DirFS(filepath.Join(examples, dir))); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := script.WriteModule(s.dir, "github.com/distkit/dist/examples", root); err != nil {
		s.t.Fatal(err)
	}
}

// TestGuideShowsTheExamples holds each piece of code in the guide to be a piece
// of the examples, which are tested: a file, or lines of one as they stand.
func TestGuideShowsTheExamples(t *testing.T) {
	root := script.Repository(t)
	var sources []string
	err := filepath.WalkDir(filepath.Join(root, "examples", "guide"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var b []byte
			b, err = os.ReadFile(path)
			sources = append(sources, string(b))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := filepath.Glob(filepath.Join(root, "docs", "guide", "*.md"))
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocksOf(string(text)) {
			if b.language != "go" && b.language != "toml" && b.language != "yaml" {
				continue
			}
			found := false
			for _, source := range sources {
				whole := b.text == source
				found = found || whole || b.file == "" && strings.Contains("\n"+source, "\n"+b.text)
			}
			if !found {
				t.Errorf("%s: the block at line %d is not in examples/guide:\n%s", fmt.Sprint("docs/guide/", filepath.Base(page)), b.line, b.text)
			}
		}
	}
}
