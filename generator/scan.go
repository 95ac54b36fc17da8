package generator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// distPath is the package by whose import, or through which, a test asks for
// clusters.
const distPath = "github.com/distkit/dist"

// A directory is what the scan knows of one package directory.
type directory struct {
	path       string // absolute
	explicit   bool   // a pattern named this very directory
	asks       bool   // its tests may need clusters
	bootstraps []bootstrap
}

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

// foreign returns the files whose names distgen needs and did not write.
func (d *directory) foreign() []*bootstrap {
	var out []*bootstrap
	for i := range d.bootstraps {
		if b := &d.bootstraps[i]; !b.ours() {
			out = append(out, b)
		}
	}
	return out
}

// A scanner reads directories as text. Nothing is parsed beyond the imports,
// and no other program is started unless a pattern is an import path.
type scanner struct {
	dir     string   // absolute; what patterns are relative to
	env     []string // environment of the go command
	dirs    map[string]*directory
	modules map[string]*module       // by directory; nil where there is none
	reaches map[string]bool          // see reach
	paths   map[string]string        // import path of what is imported, by directory
	lists   map[string][]fs.DirEntry // see list
	buffer  []byte                   // see read

	workspace    *[]*module // see members
	workReplaced []replaced // by the workspace
}

func newScanner(dir string, env []string) *scanner {
	return &scanner{
		dir:     dir,
		env:     env,
		dirs:    make(map[string]*directory),
		modules: make(map[string]*module),
		reaches: make(map[string]bool),
		paths:   make(map[string]string),
		lists:   make(map[string][]fs.DirEntry),
	}
}

// found returns the directories scanned that matter, sorted.
func (s *scanner) found() []*directory {
	var out []*directory
	for _, d := range s.dirs {
		if d.asks || len(d.bootstraps) > 0 {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *directory) int { return strings.Compare(a.path, b.path) })
	return out
}

// helpers returns the packages through which tests reach package dist, sorted:
// their facts are what tells what a test needs. Those of the module are given
// by directory, all others by import path.
func (s *scanner) helpers() []string {
	var out []string
	own := make(map[string]bool)
	for dir := range s.dirs {
		own[s.moduleRoot(dir)] = true
	}
	for dir, reached := range s.reaches {
		if !reached {
			continue
		}
		root := s.moduleRoot(dir)
		if path := s.paths[dir]; path != "" && (!own[root] || within(filepath.Join(root, "vendor"), dir)) {
			dir = path
		}
		out = append(out, dir)
	}
	slices.Sort(out)
	return out
}

// scan walks the directories that the patterns name, by the go command's rules.
func (s *scanner) scan(ctx context.Context, env, patterns []string) error {
	var paths []string
	for _, p := range patterns {
		if !isLocal(p) {
			paths = append(paths, p)
			continue
		}
		if err := s.walk(p); err != nil {
			return err
		}
	}
	if len(paths) == 0 {
		return nil
	}
	dirs, err := s.find(ctx, env, paths)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := s.readDir(dir, false); err != nil {
			return err
		}
	}
	return nil
}

// isLocal reports whether a pattern names directories rather than import paths.
func isLocal(pattern string) bool {
	p := filepath.ToSlash(pattern)
	return p == "." || p == ".." || strings.HasPrefix(p, "./") || strings.HasPrefix(p, "../") || filepath.IsAbs(pattern)
}

// find asks the go command for the directories of import paths. Only packages
// of the main modules count: what lies in the module cache is not ours to write.
// Whether they have files in this build is of no concern here.
func (s *scanner) find(ctx context.Context, env, paths []string) ([]string, error) {
	const format = `{{if .Module}}{{if .Module.Main}}{{printf "%q" .Dir}}{{end}}{{else if .Error}}!{{printf "%q" .Error.Err}}{{end}}`
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-e", "-find", "-tags=" + generateTag, "-f", format, "--"}, paths...)...)
	cmd.Dir = s.dir
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && len(exit.Stderr) > 0 {
			return nil, errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("find the directories of %s: %w", strings.Join(paths, " "), err)
	}
	var dirs []string
	for line := range strings.Lines(string(out)) {
		quoted, missing := strings.CutPrefix(strings.TrimSpace(line), "!")
		if quoted == "" {
			continue
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("find the directories of %s: go list answers %q", strings.Join(paths, " "), line)
		}
		if missing {
			return nil, errors.New(text)
		}
		dirs = append(dirs, text)
	}
	return dirs, nil
}

// walk scans the directories that one local pattern matches.
func (s *scanner) walk(pattern string) error {
	full := filepath.FromSlash(pattern)
	if !filepath.IsAbs(full) {
		// Join would clean the pattern's "..." no worse than a directory.
		full = filepath.Join(s.dir, full)
	}
	before, _, wild := strings.Cut(full, "...")
	if !wild {
		return s.explicit(pattern, full)
	}
	root := before
	if !strings.HasSuffix(root, string(filepath.Separator)) {
		root = filepath.Dir(root)
	}
	root = filepath.Clean(root)
	tail, err := filepath.Rel(root, full)
	if err != nil {
		return fmt.Errorf("pattern %s: %w", pattern, err)
	}
	match := wildcard(filepath.ToSlash(tail))
	if _, err := os.Stat(root); err != nil {
		return fmt.Errorf("pattern %s: directory %s not found", pattern, relative(s.dir, root))
	}
	// As for the go command, a symbolic link is followed where it is the root.
	var visit func(dir, rel string) error
	visit = func(dir, rel string) error {
		if match.MatchString(filepath.ToSlash(rel)) {
			if err := s.readDir(dir, false); err != nil {
				return err
			}
		}
		entries, err := s.list(dir)
		if err != nil {
			return fmt.Errorf("scan for tests: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			if sub := filepath.Join(dir, e.Name()); !s.skip(sub, e.Name()) {
				if err := visit(sub, filepath.Join(rel, e.Name())); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return visit(root, "")
}

// list returns what is in a directory. Each is asked about several times.
func (s *scanner) list(dir string) ([]fs.DirEntry, error) {
	if entries, ok := s.lists[dir]; ok {
		return entries, nil
	}
	entries, err := os.ReadDir(dir)
	if err == nil {
		s.lists[dir] = entries
	}
	return entries, err
}

// explicit scans the one directory that a pattern without wildcard names.
func (s *scanner) explicit(pattern, dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("package %s: directory not found", pattern)
	case err != nil:
		return fmt.Errorf("package %s: %w", pattern, err)
	case !info.IsDir():
		return fmt.Errorf("package %s: not a directory; distgen takes packages, not files", pattern)
	}
	return s.readDir(dir, true)
}

// skip reports whether the go command's wildcards pass over a directory below
// the one they begin at.
func (s *scanner) skip(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" {
		return true
	}
	if info, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && !info.IsDir() {
		return true // a module of its own
	}
	m := s.module(dir)
	return m != nil && m.ignores(dir)
}

// within reports whether path is dir or below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// wildcard compiles a pattern of slash-separated path elements in which "..."
// stands for anything. As for the go command, "x/..." matches x too.
func wildcard(pattern string) *regexp.Regexp {
	re := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\.\.\.`, `.*`)
	if before, ok := strings.CutSuffix(re, `/.*`); ok {
		re = before + `(/.*)?`
	}
	return regexp.MustCompile(`^` + re + `$`)
}

// readDir scans one directory.
func (s *scanner) readDir(dir string, explicit bool) error {
	if d := s.dirs[dir]; d != nil {
		d.explicit = d.explicit || explicit
		return nil
	}
	d := &directory{path: dir, explicit: explicit}
	s.dirs[dir] = d
	entries, err := s.list(dir)
	if err != nil {
		return fmt.Errorf("scan for tests: %w", err)
	}
	tests := false
	var imports []string
	for _, e := range entries {
		name := e.Name()
		if !isSource(e) || !strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := s.textOf(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("scan for tests: %w", err)
		}
		if isBootstrapName(name) {
			b := bootstrap{path: filepath.Join(dir, name), content: append([]byte{}, text...)}
			d.bootstraps = append(d.bootstraps, b)
			if b.ours() {
				continue
			}
		}
		tests = true
		d.asks = d.asks || asksFor(text)
		paths, _ := importsIn(text)
		imports = append(imports, paths...)
	}
	if !tests {
		return nil
	}
	// Both, whatever d asks for itself: the helpers are wanted, too.
	reached := s.reach(dir)
	for _, imp := range s.imported(dir, imports) {
		if s.reach(imp) {
			reached = true
		}
	}
	d.asks = d.asks || reached
	return nil
}

// isSource reports whether the go command would take e for a Go file.
func isSource(e fs.DirEntry) bool {
	name := e.Name()
	return !e.IsDir() && strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "_")
}

// reach reports whether the package in dir, its tests left aside, comes to
// package dist by way of imports, within the module or through others that know
// of package dist.
//
// A helper package calls dist.Require so that tests need not mention it; what
// the helper asks for counts for them.
func (s *scanner) reach(dir string) bool {
	if reached, known := s.reaches[dir]; known {
		return reached
	}
	s.reaches[dir] = false // until its imports are known: there may be invalid cycles
	paths := s.sourceImports(dir)
	reached := slices.Contains(paths, distPath)
	for _, imp := range s.imported(dir, paths) {
		if s.reach(imp) {
			reached = true
		}
	}
	s.reaches[dir] = reached
	return reached
}

// sourceImports returns what the Go files in dir import, tests left aside. What
// cannot be read or parsed imports nothing: if it matters, loading it will tell.
func (s *scanner) sourceImports(dir string) []string {
	entries, err := s.list(dir)
	if err != nil || s.module(dir) == nil {
		return nil
	}
	var paths []string
	for _, e := range entries {
		if !isSource(e) || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		if of, err := s.importsOf(filepath.Join(dir, e.Name())); err == nil {
			paths = append(paths, of...)
		}
	}
	return paths
}

// imported returns the directories of those packages that paths, imported in
// dir, stand for and that may reach package dist. Package dist is no helper
// package, not even in its own module.
func (s *scanner) imported(dir string, paths []string) []string {
	m := s.module(dir)
	if m == nil {
		return nil
	}
	var dirs []string
	for _, p := range paths {
		if p == distPath {
			continue
		}
		imp, ok := m.dirOf(p)
		if !ok {
			if imp, ok = s.foreignDir(m, p); !ok {
				continue
			}
		}
		s.paths[imp] = p
		dirs = append(dirs, imp)
	}
	return dirs
}

// A module is the part of a go.mod that the scan needs.
type module struct {
	root   string // absolute
	path   string
	ignore []string // of its ignore directives

	file   *modfile.File // nil if it is in error
	others *[]*module    // see scanner.others
}

// module returns the module that dir belongs to, nil if none.
func (s *scanner) module(dir string) *module {
	if m, ok := s.modules[dir]; ok {
		return m
	}
	var m *module
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	switch parent := filepath.Dir(dir); {
	case err == nil:
		m = &module{root: dir, path: modfile.ModulePath(data)}
		// A go.mod in error is the go command's to complain about.
		f, err := modfile.Parse("go.mod", data, nil)
		if err != nil {
			f, err = modfile.ParseLax("go.mod", data, nil) // without its replace directives
		}
		if err == nil {
			m.file = f
			for _, i := range f.Ignore {
				m.ignore = append(m.ignore, i.Path)
			}
		}
	case parent != dir:
		m = s.module(parent)
	}
	s.modules[dir] = m
	return m
}

// ignores reports whether an ignore directive covers dir: one that begins with
// ./ at that place only, another at any depth.
func (m *module) ignores(dir string) bool {
	rel, err := filepath.Rel(m.root, dir)
	if err != nil {
		return false
	}
	rel = "/" + filepath.ToSlash(rel) + "/"
	for _, i := range m.ignore {
		if anchored, ok := strings.CutPrefix(i, "./"); ok {
			if strings.HasPrefix(rel, "/"+path.Clean(anchored)+"/") {
				return true
			}
		} else if strings.Contains(rel, "/"+path.Clean(i)+"/") {
			return true
		}
	}
	return false
}

// dirOf returns the directory of a package of the module, if it is one.
func (m *module) dirOf(importPath string) (string, bool) {
	if importPath == m.path {
		return m.root, true
	}
	rel, ok := strings.CutPrefix(importPath, m.path+"/")
	if !ok || m.path == "" {
		return "", false
	}
	return filepath.Join(m.root, filepath.FromSlash(rel)), true
}

// moduleRoot returns the directory of dir's go.mod; dir itself without one.
func (s *scanner) moduleRoot(dir string) string {
	if m := s.module(dir); m != nil {
		return m.root
	}
	return dir
}
