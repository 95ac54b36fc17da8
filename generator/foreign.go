package generator

import (
	"bytes"
	"go/build"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	modpath "golang.org/x/mod/module"
)

// foreignDir returns the directory of a package that is not of m itself, if its
// module is one that can know of package dist: a fellow of the workspace, one
// that a replace directive puts elsewhere, a vendored one, or one of the module
// cache. Whether the go command would take it from there does not matter much:
// it is asked in the end, and by import path.
func (s *scanner) foreignDir(m *module, importPath string) (string, bool) {
	var found string
	longest := -1
	for _, o := range s.others(m) {
		if dir, ok := o.dirOf(importPath); ok && len(o.path) > longest {
			found, longest = dir, len(o.path)
		}
	}
	return found, longest >= 0
}

// others returns the modules besides m that its packages may import and through
// which they may reach package dist. There is none if neither go.mod nor the
// workspace mentions it: what provides a package must be listed there.
func (s *scanner) others(m *module) []*module {
	if m.others != nil {
		return *m.others
	}
	var others []*module
	add := func(path, dir string) {
		if path != m.path && path != distPath {
			others = append(others, &module{root: dir, path: path})
		}
	}
	for _, w := range s.members() {
		add(w.path, w.root)
	}
	if m.file != nil && mentionsDist(m.file) {
		replaced := s.replaced(m)
		for _, r := range m.file.Require {
			version := r.Mod
			if to, ok := replacement(replaced, version); ok {
				if to.dir != "" {
					add(r.Mod.Path, to.dir)
					continue
				}
				version = to.version
			}
			vendored := filepath.Join(m.root, "vendor", filepath.FromSlash(r.Mod.Path))
			if info, err := os.Stat(vendored); err == nil && info.IsDir() {
				add(r.Mod.Path, vendored)
				continue
			}
			if dir, ok := s.cached(version); ok {
				add(r.Mod.Path, dir)
			}
		}
	}
	m.others = &others
	return others
}

// A replaced is what a replace directive says, of a go.mod or go.work.
type replaced struct {
	old     modpath.Version // without a version: all of them
	dir     string          // absolute; "": version
	version modpath.Version
}

func replacement(all []replaced, v modpath.Version) (to replaced, ok bool) {
	for _, r := range all {
		if r.old.Path == v.Path && (r.old.Version == "" || r.old.Version == v.Version) {
			return r, true
		}
	}
	return to, false
}

// replaced returns the replace directives that hold in a module: those of the
// workspace come first, and before those of its other members.
func (s *scanner) replaced(m *module) []replaced {
	members := s.members()
	all := slices.Clone(s.workReplaced)
	all = append(all, replacedIn(m.root, m.file.Replace)...)
	if slices.Contains(members, m) {
		for _, w := range members {
			if w != m && w.file != nil {
				all = append(all, replacedIn(w.root, w.file.Replace)...)
			}
		}
	}
	return all
}

func replacedIn(root string, directives []*modfile.Replace) (all []replaced) {
	for _, d := range directives {
		r := replaced{old: d.Old, version: d.New}
		if modfile.IsDirectoryPath(d.New.Path) {
			r.dir = filepath.FromSlash(d.New.Path)
			if !filepath.IsAbs(r.dir) {
				r.dir = filepath.Join(root, r.dir)
			}
		}
		all = append(all, r)
	}
	return all
}

// mentionsDist reports whether a go.mod, or what it stands for, has to do with
// the module of package dist.
func mentionsDist(f *modfile.File) bool {
	if f.Module != nil && f.Module.Mod.Path == distPath {
		return true
	}
	for _, r := range f.Require {
		if r.Mod.Path == distPath {
			return true
		}
	}
	return false
}

// cached returns where the module cache has a module, if that mentions package
// dist in its go.mod.
func (s *scanner) cached(v modpath.Version) (string, bool) {
	path, err := modpath.EscapePath(v.Path)
	if err != nil {
		return "", false
	}
	version, err := modpath.EscapeVersion(v.Version)
	if err != nil {
		return "", false
	}
	dir := filepath.Join(s.moduleCache(), filepath.FromSlash(path)+"@"+version)
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !bytes.Contains(data, []byte(distPath)) {
		return "", false
	}
	return dir, true
}

func (s *scanner) getenv(name string) string {
	value := ""
	for _, kv := range s.env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// moduleCache goes by the environment. A value that go env -w has set is not
// seen: the helpers of such a cache have to be imported beside package dist.
func (s *scanner) moduleCache() string {
	if dir := s.getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	list := filepath.SplitList(s.getenv("GOPATH"))
	if len(list) == 0 {
		list = filepath.SplitList(build.Default.GOPATH)
	}
	if len(list) == 0 {
		return ""
	}
	return filepath.Join(list[0], "pkg", "mod")
}

// members returns the modules of the workspace that the go command would work
// in; none outside one.
func (s *scanner) members() []*module {
	if s.workspace != nil {
		return *s.workspace
	}
	var members []*module
	s.workspace = &members
	file := s.getenv("GOWORK")
	if file == "off" {
		return nil
	}
	if file == "" {
		for dir := s.dir; ; dir = filepath.Dir(dir) {
			candidate := filepath.Join(dir, "go.work")
			if info, err := os.Stat(candidate); err == nil && !info.IsDir() {
				file = candidate
				break
			}
			if dir == filepath.Dir(dir) {
				return nil
			}
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	work, err := modfile.ParseWork(file, data, nil)
	if err != nil {
		return nil // the go command's to complain about
	}
	s.workReplaced = replacedIn(filepath.Dir(file), work.Replace)
	for _, use := range work.Use {
		dir := filepath.FromSlash(use.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(file), dir)
		}
		if m := s.module(filepath.Clean(dir)); m != nil && m.root == filepath.Clean(dir) {
			members = append(members, m)
		}
	}
	return members
}
