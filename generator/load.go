package generator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// loadMode asks for syntax and types of the packages named and for the export
// data of all others: with NeedDeps everything would be type-checked from its
// source, which is several times dearer.
const loadMode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles |
	packages.NeedImports | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax |
	packages.NeedTypesInfo | packages.NeedModule | packages.NeedForTest

// A unit is one directory after loading.
type unit struct {
	dir      *directory
	pkg      *packages.Package // p with its tests; nil if there are none
	external *packages.Package // p_test; nil if there is none
	failed   bool              // an error of it was reported
}

// load loads the directories and the helpers they lean on, and adds what it
// finds out about the directories to g.
func (g *generation) load(ctx context.Context, dirs []*directory, helpers []string) error {
	goenv, err := g.goEnv(ctx)
	if err != nil {
		return err
	}
	tags := joinTags(goenv.tags(), g.tags)

	flags := []string{"-tags=" + joinTags(generateTag, tags)}
	hide, cleanup, err := hideBroken(dirs)
	if err != nil {
		return err
	}
	defer cleanup()
	flags = append(flags, hide...)

	wanted := make(map[string]*unit, len(dirs))
	var units []*unit
	var roots []string
	for _, h := range helpers {
		if filepath.IsAbs(h) {
			h = g.pattern(h)
		}
		roots = append(roots, h)
	}
	for _, d := range dirs {
		u := &unit{dir: d}
		units = append(units, u)
		wanted[d.path] = u
		roots = append(roots, g.pattern(d.path))
	}
	slices.Sort(roots)
	roots = slices.Compact(roots)

	cfg := &packages.Config{
		Mode:       loadMode,
		Context:    ctx,
		Dir:        g.dir,
		Env:        append(slices.Clip(g.env), "GOPACKAGESDRIVER=off"),
		BuildFlags: flags,
		Tests:      true,
	}
	pkgs, err := packages.Load(cfg, roots...)
	if err == nil && len(recompiled(pkgs, wanted)) > 0 {
		cfg.Mode |= packages.NeedDeps // several times dearer: only this gives the source of what no pattern names
		pkgs, err = packages.Load(cfg, roots...)
	}
	if err != nil {
		return fmt.Errorf("load packages: %w", err)
	}

	again := recompiled(pkgs, wanted)
	pkgs = slices.DeleteFunc(pkgs, isTestBinary)
	for _, p := range pkgs {
		u := wanted[packageDir(p)]
		if u == nil {
			continue
		}
		switch {
		case strings.HasSuffix(p.Name, "_test") && p.ForTest != "":
			u.external = p
		case p.ForTest != "":
			u.pkg = p
		}
		if g.loadErrors(p, u) {
			u.failed = true
		}
	}
	ctxt := goenv.context(tags)
	return g.analyze(units, append(pkgs, again...), ctxt)
}

// recompiled returns the helpers between an external test package and the package
// that it tests. Where that has test files of its own, the go command compiles
// them once more for the test, as packages that no pattern names, and it is those
// that the external test package imports.
func recompiled(pkgs []*packages.Package, wanted map[string]*unit) []*packages.Package {
	named, tested := make(map[string]bool), make(map[string]bool)
	for _, p := range pkgs {
		if p.ForTest == "" {
			named[p.PkgPath] = true
		} else if wanted[packageDir(p)] != nil {
			tested[p.ForTest] = true
		}
	}
	var again []*packages.Package
	packages.Visit(pkgs, nil, func(p *packages.Package) {
		if tested[p.ForTest] && named[p.PkgPath] && p.PkgPath != p.ForTest {
			again = append(again, p)
		}
	})
	return again
}

// pattern returns a directory as a pattern for the go command.
func (g *generation) pattern(dir string) string {
	rel := relative(g.dir, dir)
	if filepath.IsAbs(rel) {
		return rel
	}
	return "./" + filepath.ToSlash(rel)
}

// isTestBinary reports whether p is the main package that go test would make.
func isTestBinary(p *packages.Package) bool {
	return p.Name == "main" && strings.HasSuffix(p.ID, ".test") && strings.HasSuffix(p.PkgPath, ".test")
}

// packageDir returns the directory of p, "" for one that was not found.
func packageDir(p *packages.Package) string {
	if p.Dir != "" {
		return filepath.Clean(p.Dir)
	}
	for _, files := range [][]string{p.GoFiles, p.CompiledGoFiles, p.IgnoredFiles} {
		if len(files) > 0 {
			return filepath.Dir(files[0])
		}
	}
	return ""
}

// loadErrors reports what is wrong with p or with what it imports, and whether
// anything is.
func (g *generation) loadErrors(p *packages.Package, u *unit) bool {
	if len(p.Errors) == 0 && !p.IllTyped {
		return false
	}
	found, explained := false, false
	packages.Visit([]*packages.Package{p}, nil, func(dep *packages.Package) {
		checked := slices.ContainsFunc(dep.Errors, func(e packages.Error) bool { return e.Kind != packages.ListError })
		for _, e := range dep.Errors {
			if e.Kind != packages.ListError {
				continue
			}
			if dep == p && !u.dir.explicit && strings.Contains(e.Msg, "build constraints exclude all Go files") {
				continue // not in this build; a wildcard passes over such a package
			}
			found = true
			explained = explained || dep != p
			if output, ok := strings.CutPrefix(e.Msg, "# "); ok {
				// The compiler says less about a package than the type checker.
				if !checked {
					g.compilerErrors(output)
				}
				continue
			}
			g.errors.add(position(g.dir, e.Pos), e.Msg)
		}
	})
	unparsed := slices.ContainsFunc(p.Errors, func(e packages.Error) bool { return e.Kind == packages.ParseError })
	for _, e := range p.Errors {
		if e.Kind == packages.ListError {
			continue
		}
		found = true
		if unparsed && e.Kind == packages.TypeError {
			continue // what is missing may be in the part that was not understood
		}
		if explained && strings.HasPrefix(e.Msg, "could not import ") {
			continue // why was said above
		}
		g.errors.add(position(g.dir, e.Pos), e.Msg)
	}
	return found
}

// compilerErrors reports what the compiler printed about one package: a heading
// and then messages, some of which go on in indented lines.
func (g *generation) compilerErrors(output string) {
	_, output, _ = strings.Cut(output, "\n")
	var message []string
	flush := func() {
		if len(message) > 0 {
			pos, text, _ := strings.Cut(message[0], ": ")
			message[0] = text
			g.errors.add(position(g.dir, pos), strings.Join(message, "\n"))
		}
		message = nil
	}
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "\t") && len(message) > 0 {
			message = append(message, line)
			continue
		}
		flush()
		if pos, _, ok := strings.Cut(line, ": "); ok && strings.Contains(pos, ".go:") {
			message = []string{line}
		}
	}
	flush()
}

// hideBroken returns the flags that hide broken bootstraps from the go command,
// which reads every file as far as its imports, and a function that removes what
// the flags refer to. The files stay where they are.
func hideBroken(dirs []*directory) ([]string, func(), error) {
	replace := make(map[string]string)
	for _, d := range dirs {
		for i := range d.bootstraps {
			if b := &d.bootstraps[i]; b.broken() {
				replace[b.path] = "" // as if deleted
			}
		}
	}
	if len(replace) == 0 {
		return nil, func() {}, nil
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, nil, fmt.Errorf("set broken files aside: %w", err)
	}
	f, err := os.CreateTemp("", "distgen-overlay-*.json")
	if err != nil {
		return nil, nil, fmt.Errorf("set broken files aside: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return nil, nil, fmt.Errorf("set broken files aside: %w", err)
	}
	return []string{"-overlay=" + f.Name()}, func() { os.Remove(f.Name()) }, nil
}

// A goEnv is what go env says about the build.
type goEnv struct {
	GOFLAGS     string
	GOOS        string
	GOARCH      string
	CGO_ENABLED string
}

func (g *generation) goEnv(ctx context.Context) (*goEnv, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "-json", "GOFLAGS", "GOOS", "GOARCH", "CGO_ENABLED")
	cmd.Dir = g.dir
	cmd.Env = g.env
	out, err := cmd.Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && len(exit.Stderr) > 0 {
			return nil, errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("ask the go command for its environment: %w", err)
	}
	e := new(goEnv)
	if err := json.Unmarshal(out, e); err != nil {
		return nil, fmt.Errorf("read the answer of go env: %w", err)
	}
	return e, nil
}

// tags returns the build tags in GOFLAGS. A -tags of our own would replace them.
func (e *goEnv) tags() string {
	tags := ""
	for _, f := range strings.Fields(e.GOFLAGS) {
		f = strings.Trim(f, `'"`)
		if v, ok := strings.CutPrefix(strings.TrimPrefix(f, "-"), "-tags="); ok {
			tags = v
		} else if v, ok := strings.CutPrefix(f, "-tags="); ok {
			tags = v
		}
	}
	return tags
}

// context describes the build that the bootstraps are for: that of go test, so
// without the tag that hides them.
func (e *goEnv) context(tags string) *build.Context {
	c := build.Default
	c.GOOS, c.GOARCH = e.GOOS, e.GOARCH
	c.CgoEnabled = e.CGO_ENABLED == "1"
	c.BuildTags = splitTags(tags)
	return &c
}

func splitTags(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func joinTags(lists ...string) string {
	var all []string
	for _, l := range lists {
		all = append(all, splitTags(l)...)
	}
	return strings.Join(all, ",")
}
