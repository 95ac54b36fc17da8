package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FileName is the name of the file that Load looks for.
const FileName = "distributed.toml"

// maxFileSize is far more than a person writes, and little enough to read.
const maxFileSize = 1 << 20

// An Option changes what Load asks for.
type Option func(*loader)

// Expect names the distributed.toml that was there when the package's
// bootstrap was generated, as a slash-separated path relative to dir (the
// plan's Config). Load then fails if it finds none at all, as with a test
// binary that was moved away from its sources. The empty path expects nothing.
func Expect(path string) Option {
	return func(l *loader) { l.expect = path }
}

// Load returns the configuration for the package in dir: the defaults, what the
// nearest distributed.toml between dir and the root of its module says, and
// what DIST_ variables override. DIST_CONFIG names another file, absolute or
// relative to dir. A file that is not there is no error, unless DIST_CONFIG or
// Expect says that it must be.
//
// The error, if there is one, is an [Errors] with all that is wrong.
//
// Give an absolute dir where one is known: to find the working directory, the
// os package reads the variable PWD, on which the answer of Go's test cache
// then depends.
func Load(dir string, opts ...Option) (*Config, error) {
	l := &loader{config: Default()}
	for _, opt := range opts {
		opt(l)
	}
	l.config.sources = map[string]source{}
	l.load(dir)
	if len(l.errs) > 0 {
		l.errs.sort()
		return nil, l.errs
	}
	return l.config, nil
}

// A loader is one call of Load.
type loader struct {
	config *Config
	expect string
	errs   Errors
}

// A source is where a key was set: in the file, or in the environment.
type source struct {
	at    pos // of the value
	key   pos
	env   string
	value *node // in the file
}

func (l *loader) load(dir string) {
	c := l.config
	fields := c.fields()

	// Looked up before anything can go wrong, and in a fixed order.
	configEnv, _ := os.LookupEnv("DIST_CONFIG")
	overrides := lookup("", fields)
	c.CI = detectCI()

	dir, err := filepath.Abs(dir)
	if err != nil {
		l.fail(&Error{Problem: "cannot tell which directory is meant: " + err.Error(), Err: err})
		return
	}
	read := true
	if doc := l.read(dir, configEnv); doc != nil {
		read = l.file(doc, fields)
	}
	l.override("", fields, overrides)
	for _, name := range slices.Sorted(maps.Keys(c.Programs)) {
		prefix, fields := "program."+name+".", c.Programs[name].fields()
		l.override(prefix, fields, lookup(prefix, fields))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attach)) {
		prefix, fields := "attach."+name+".", c.Attach[name].fields()
		l.override(prefix, fields, lookup(prefix, fields))
	}
	l.environ()
	if read {
		l.check()
	}
}

func (l *loader) fail(e *Error) { l.errs = append(l.errs, e) }

// failAt reports what is wrong at a place in the file.
func (l *loader) failAt(at pos, key, problem, remedy string) {
	l.fail(&Error{
		File: l.config.display, Path: l.config.File, Line: at.line, Column: at.col,
		Key: key, Problem: problem, Remedy: remedy,
	})
}

// failKey reports what is wrong with a key's value, wherever it was set. It
// points to fallback if that was nowhere.
func (l *loader) failKey(key string, fallback pos, problem, remedy string) {
	s, set := l.config.sources[key]
	if set && s.env != "" {
		l.fail(&Error{Key: key, Env: s.env, Problem: s.env + " " + problem, Remedy: remedy})
		return
	}
	if set {
		fallback = s.at
	}
	l.failAt(fallback, key, key+" "+problem, remedy)
}

// read finds the file and returns what it says; nil if there is none, or none
// that could be read.
func (l *loader) read(dir, configEnv string) []byte {
	path, root := "", ""
	var info fs.FileInfo
	if configEnv != "" {
		path = configEnv
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		var err error
		if info, err = os.Stat(path); err != nil {
			l.fail(&Error{Env: "DIST_CONFIG", Path: path, Err: err,
				Problem: "DIST_CONFIG names " + configEnv + ", which cannot be read: " + reason(err),
				Remedy:  "name a file, absolute or relative to the package's directory, or unset it"})
			return nil
		}
	} else {
		path, root, info = l.find(dir)
		if info == nil {
			return nil
		}
	}
	l.config.File = path
	l.config.display = path
	// From the module root, as the go command is mostly run there, and as it is
	// the same on every machine.
	if rel, err := filepath.Rel(root, path); root != "" && err == nil {
		l.config.display = filepath.ToSlash(rel)
	} else if configEnv != "" {
		l.config.display = configEnv
	}
	whole := func(problem, remedy string, err error) {
		l.fail(&Error{File: l.config.display, Path: path, Problem: problem, Remedy: remedy, Err: err})
	}
	// A pipe would keep the test waiting for good.
	if !info.Mode().IsRegular() && path != os.DevNull {
		whole("is not a regular file", "put a file there, or name another with DIST_CONFIG", nil)
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		whole("cannot be read: "+reason(err), "make it readable, or name another with DIST_CONFIG", err)
		return nil
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		whole("cannot be read: "+reason(err), "", err)
		return nil
	}
	if len(doc) > maxFileSize {
		whole(fmt.Sprintf("is larger than %d bytes", maxFileSize), "keep nothing but configuration in it", nil)
		return nil
	}
	if doc == nil {
		doc = []byte{}
	}
	return doc
}

// find walks up from dir to the module root, or to the root of the file system
// if there is no go.mod. A nil info is a file that is not there.
func (l *loader) find(dir string) (path, root string, info fs.FileInfo) {
	for d := dir; ; d = filepath.Dir(d) {
		if info == nil {
			p := filepath.Join(d, FileName)
			i, err := os.Stat(p)
			switch {
			case err == nil:
				path, info = p, i
			case !errors.Is(err, fs.ErrNotExist):
				l.fail(&Error{File: p, Path: p, Problem: "cannot be read: " + reason(err),
					Remedy: "make it readable, or name another with DIST_CONFIG", Err: err})
				return "", "", nil
			}
		}
		if i, err := os.Stat(filepath.Join(d, "go.mod")); err == nil && i.Mode().IsRegular() {
			root = d
			break
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	if info == nil && l.expect != "" {
		missing := filepath.Join(dir, filepath.FromSlash(l.expect))
		l.fail(&Error{Path: missing, Err: fs.ErrNotExist,
			Problem: fmt.Sprintf("%s, which was there when the bootstrap was generated, is missing (looked in %s and above)", l.expect, dir),
			Remedy: "run the test binary in its package's directory, or name the file with DIST_CONFIG" +
				" (DIST_CONFIG=" + os.DevNull + " for the defaults); if the file was removed for good, run go generate again"})
	}
	return path, root, info
}

// reason is what the system said, without the operation and the path.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// file sets what the file says. It returns false if the file is not TOML.
func (l *loader) file(doc []byte, fields []field) bool {
	// Editors on Windows write a BOM, which they do not count as a column.
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(doc, []byte("\xff\xfe")) || bytes.HasPrefix(doc, []byte("\xfe\xff")) {
		l.failAt(pos{1, 1}, "", "the file is UTF-16", "save it as UTF-8")
		return false
	}
	root, err := parse(doc)
	if err != nil {
		at, text := syntaxError(err)
		l.failAt(at, "", text, "")
		return false
	}
	c := l.config
	rest := &node{kind: kindTable, at: root.at}
	for _, m := range root.members {
		switch m.name {
		case "program":
			l.named(m, func(name string, m *member) {
				p := defaultProgram(name)
				l.table(m.value, "program."+name+".", "", p.fields())
				c.Programs[name] = p
			})
		case "attach":
			l.named(m, func(name string, m *member) {
				a := &Attach{Name: name}
				l.table(m.value, "attach."+name+".", "", a.fields())
				c.Attach[name] = a
			})
		default:
			rest.add(m)
		}
	}
	l.table(rest, "", "", fields)
	return true
}

// named goes through the tables of [program] or [attach].
func (l *loader) named(section *member, each func(name string, m *member)) {
	form := "[" + section.name + ".NAME]"
	if section.value.kind != kindTable {
		l.failAt(section.value.at, section.name, section.name+" is "+section.value.String(), "write a section "+form)
		return
	}
	for _, m := range section.value.members {
		key := section.name + "." + bare(m.name)
		if m.value.kind != kindTable {
			l.failAt(m.at, key, key+" is "+m.value.String(), "write a section "+form+" for each, with its name")
			continue
		}
		if problem, remedy := checkSection(m.name); problem != "" {
			l.failAt(m.at, key, quote(m.name)+" in "+form+" "+problem, remedy)
			continue
		}
		l.config.sources[key] = source{at: m.at, key: m.at}
		each(m.name, m)
	}
}

// table sets the members of a table. Path is what the fields' names, and
// prefix and path are what the full names of the members begin with.
func (l *loader) table(t *node, prefix, path string, fields []field) {
	for _, m := range t.members {
		name := path + bare(m.name)
		key := prefix + name
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == name })
		switch {
		case i >= 0:
			l.config.sources[key] = source{at: m.value.at, key: m.at, value: m.value}
			fields[i].to.set(m.value, func(at pos, problem, remedy string) {
				if at == (pos{}) {
					at = m.value.at
				}
				l.failAt(at, key, key+" "+problem, remedy)
			})
		case !slices.ContainsFunc(fields, func(f field) bool { return strings.HasPrefix(f.key, name+".") }):
			l.unknown(m, prefix, path, fields)
		case m.value.kind != kindTable:
			form := "[" + key + "]"
			if prefix != "" {
				form = m.name + " = { … }"
			}
			l.failAt(m.value.at, key, key+" is "+m.value.String(), "it must be a table: "+form)
		default:
			l.config.sources[key] = source{at: m.value.at, key: m.at}
			l.table(m.value, prefix, name+".", fields)
		}
	}
}

// unknown reports a key that nobody knows.
func (l *loader) unknown(m *member, prefix, path string, fields []field) {
	var here []string      // what could stand in this place
	var elsewhere []string // the sections that have such a key
	for _, f := range fields {
		if rest, ok := strings.CutPrefix(f.key, path); ok {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(here, name) {
				here = append(here, name)
			}
		}
		if in, ok := strings.CutSuffix(f.key, "."+m.name); ok && in != "" {
			elsewhere = append(elsewhere, "["+prefix+in+"]")
		}
	}
	top := prefix == "" && path == ""
	if top {
		here = append(here, "program", "attach")
	}
	key := prefix + path + bare(m.name)
	section := strings.TrimSuffix(prefix+path, ".")
	problem := "unknown key " + quote(m.name) + " in [" + section + "]"
	remedy := ""
	near := nearest(m.name, here)
	switch {
	case top && m.value.kind == kindTable:
		problem = "unknown section [" + bare(m.name) + "]"
		if near != "" {
			near = "[" + near + "]"
		}
	case top:
		problem = "key " + quote(m.name) + " outside of any section"
		near = ""
	case near != "":
		near = quote(near)
	}
	switch {
	case near != "":
		remedy = "did you mean " + near + "?"
	case len(elsewhere) > 0:
		remedy = "it belongs in " + strings.Join(elsewhere, " or ")
	case top && m.value.kind != kindTable:
		remedy = "each key belongs in a section, such as [cluster]"
	default:
		remedy = "known are " + strings.Join(here, ", ")
	}
	l.failAt(m.at, key, problem, remedy)
}
