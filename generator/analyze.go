package generator

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"

	"github.com/distkit/dist/analyzer"
)

// analyze runs the analyzer over what was loaded and adds the units' packages
// to g.
func (g *generation) analyze(units []*unit, pkgs []*packages.Package, ctxt *build.Context) error {
	sound := pkgs[:0:0]
	for _, p := range pkgs {
		if len(p.Errors) == 0 && p.Types != nil && !p.IllTyped {
			sound = append(sound, p)
		}
	}
	pruneImports(sound)
	graph, err := checker.Analyze([]*analysis.Analyzer{analyzer.Analyzer}, sound, nil)
	if err != nil {
		return fmt.Errorf("analyze packages: %w", err)
	}
	results := make(map[*packages.Package]*analyzer.Result)
	for _, act := range graph.Roots {
		u := unitOf(units, act.Package)
		if u == nil {
			continue
		}
		if act.Err != nil {
			u.failed = true
			g.errors.add(token.Position{}, fmt.Sprintf("analyze %s: %v", act.Package.ID, act.Err))
			continue
		}
		for _, d := range act.Diagnostics {
			// All others are go vet's to report: the plan is right whether or not
			// the tests are.
			if f, ok := analyzer.Lookup(d.Category); !ok || f.Plan {
				u.failed = true
				g.errors.add(act.Package.Fset.Position(d.Pos), d.Message)
			}
		}
		result, ok := act.Result.(*analyzer.Result)
		if !ok {
			return fmt.Errorf("analyze %s: the analyzer returned a %T", act.Package.ID, act.Result)
		}
		results[act.Package] = result
	}
	for _, u := range units {
		for _, p := range []*packages.Package{u.pkg, u.external} {
			if p != nil && results[p] == nil && !u.failed {
				u.failed = true
				g.errors.add(token.Position{}, fmt.Sprintf("%s does not compile; go vet %[1]s says why", p.ForTest))
			}
		}
		if u.failed || u.pkg == nil && u.external == nil {
			continue
		}
		g.assemble(u, results, ctxt)
	}
	return nil
}

// unitOf returns the unit that p is the package or external test package of.
func unitOf(units []*unit, p *packages.Package) *unit {
	for _, u := range units {
		if u.pkg == p || u.external == p {
			return u
		}
	}
	return nil
}

// pruneImports leaves of the packages' imports those that were loaded too. The
// checker would run an analyzer that exports facts over all of them, and there
// is no syntax to run it over.
func pruneImports(pkgs []*packages.Package) {
	loaded := make(map[*packages.Package]bool, len(pkgs))
	for _, p := range pkgs {
		loaded[p] = true
	}
	for _, p := range pkgs {
		for path, imp := range p.Imports {
			if !loaded[imp] {
				delete(p.Imports, path)
			}
		}
	}
}

// assemble turns the results of one directory into what its files should be.
func (g *generation) assemble(u *unit, results map[*packages.Package]*analyzer.Result, ctxt *build.Context) {
	out := &Package{Dir: u.dir.path}
	var plans []*bootstrapPlan
	ownMain := false
	before := len(g.errors.all)
	var config *projectConfig
	for _, p := range []*packages.Package{u.pkg, u.external} {
		if p == nil {
			continue
		}
		r := results[p]
		ownMain = ownMain || r.Plan.OwnMain || r.TestMain.IsValid()
		out.Path = p.ForTest
		for i := range r.Tests {
			t := &r.Tests[i]
			pos := p.Fset.Position(t.Pos)
			pos.Filename = relative(g.dir, pos.Filename)
			out.Tests = append(out.Tests, Test{t.Test, p.PkgPath, pos, t.Why})
		}
		if !r.UsesDist {
			continue
		}
		if config == nil {
			config = g.configOf(p)
		}
		config.check(p.Fset, r.Tests, &g.errors)
		plan := g.bootstrapPlan(p, r)
		plan.plan.Config = config.planPath(u.dir.path)
		plans = append(plans, plan)
	}
	if len(plans) == 2 {
		dropRepeated(plans[0], plans[1])
		g.checkNames(out.Tests)
	}
	var files []rendering
	for i, p := range plans {
		p.plan.OwnMain = ownMain
		p.testMain = !ownMain && i == 0
		rendered, err := p.render()
		if err != nil {
			g.errors.add(token.Position{Filename: u.dir.path}, err.Error())
			continue
		}
		files = append(files, rendered...)
	}
	if len(g.errors.all) > before {
		return
	}
	out.Files = u.dir.files(files, ctxt)
	if len(out.Files) > 0 || len(out.Tests) > 0 {
		g.packages = append(g.packages, out)
	}
}

// bootstrapPlan collects what the bootstraps of one package say.
func (g *generation) bootstrapPlan(p *packages.Package, r *analyzer.Result) *bootstrapPlan {
	names, otherMain := declared(p)
	b := &bootstrapPlan{
		plan:     r.Plan,
		external: p.PkgPath != p.ForTest,
		name:     p.Name,
		path:     p.PkgPath,
		importer: p.ForTest,
		declared: names,
		imports:  make(map[string]string),
	}
	if b.plan.Package == "" {
		b.plan.Package = p.PkgPath
	}
	b.plan.Tests = nil
	for i := range r.Tests {
		t := &r.Tests[i]
		guard, err := parseGuard(t.Constraint)
		if err != nil {
			g.errors.add(p.Fset.Position(t.Pos), err.Error())
			continue
		}
		b.tests = append(b.tests, plannedTest{t.Test, guard})
	}
	g.checkMain(p, r, otherMain)
	for _, f := range r.Functions {
		pos := p.Fset.Position(f.Pos)
		if err := b.importable(f.Object); err != nil {
			if f.Called {
				g.errors.add(pos, fmt.Sprintf("%s cannot be named in a generated file: %v; use dist.Register where it is declared", f.Object.Name(), err))
			}
			continue
		}
		ok := true
		for _, t := range f.TypeArgs {
			if err := b.nameable(t); err != nil {
				if f.Called {
					g.errors.add(pos, fmt.Sprintf("this instance of %s cannot be named in a generated file: %v; use dist.Register(%[1]s[...])", f.Object.Name(), err))
				}
				ok = false
				break
			}
		}
		if !ok {
			continue
		}
		// A file without constraint names the function, so there is one under
		// that name in every build, be it declared in another file there.
		constraint := f.Constraint
		if constraint != "" && namedEverywhere(p, f.Pos) {
			constraint = ""
		}
		guard, err := parseGuard(constraint)
		if err != nil {
			g.errors.add(pos, err.Error())
			continue
		}
		b.functions = append(b.functions, nodeFunction{f.Object, f.TypeArgs, guard})
	}
	return b
}

// checkNames reports tests of a directory's two packages that have one name and
// do not need the same: they are in one binary, where a test is known by its name.
func (g *generation) checkNames(tests []Test) {
	first := make(map[string]*Test)
	for i := range tests {
		t := &tests[i]
		switch other := first[t.Name]; {
		case other == nil:
			first[t.Name] = t
		case other.Package != t.Package && !reflect.DeepEqual(other.Test, t.Test):
			g.errors.add(t.Pos, fmt.Sprintf("%s here and %[1]s at %v are in one test binary and need different clusters, which nothing but their names could tell apart: rename one", t.Name, other.Pos))
		}
	}
}

// checkMain reports a TestMain that is there in some builds only: ours would be
// one too many in these, or missing in the others. One TestMain here and one in
// a file of other builds are taken for the two halves of a whole.
func (g *generation) checkMain(p *packages.Package, r *analyzer.Result, other token.Position) {
	here := r.TestMain.IsValid()
	switch {
	case here && !other.IsValid() && !namedEverywhere(p, r.TestMain):
		other = p.Fset.Position(r.TestMain)
	case here || !other.IsValid():
		return
	}
	g.errors.add(other, "TestMain is behind a build constraint, and other builds of this package need one too: move it to a file without constraint")
}

// namedEverywhere reports whether the file around pos is in every build.
func namedEverywhere(p *packages.Package, pos token.Pos) bool {
	for _, f := range p.Syntax {
		if f.FileStart <= pos && pos < f.FileEnd {
			return !fileConstrained(p.Fset.File(f.FileStart).Name(), f)
		}
	}
	return false
}

// declared returns the package-level identifiers of p in any build: what files
// outside this one declare must not be hidden either. It also returns where such
// a file declares TestMain.
func declared(p *packages.Package) (names map[string]bool, otherMain token.Position) {
	names = make(map[string]bool)
	for _, n := range p.Types.Scope().Names() {
		names[n] = true
	}
	for _, path := range p.IgnoredFiles {
		if isBootstrapName(filepath.Base(path)) || !strings.HasSuffix(path, ".go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil || f.Name.Name != p.Name {
			continue // not of this build, so not ours to complain about
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = true
					if d.Name.Name == "TestMain" && strings.HasSuffix(path, "_test.go") {
						otherMain = fset.Position(d.Name.Pos())
					}
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = true
						}
					}
				}
			}
		}
	}
	return names, otherMain
}

// dropRepeated removes from the external package's functions those that the
// package's own bootstrap has under the same conditions: one binary, one table.
func dropRepeated(internal, external *bootstrapPlan) {
	have := make(map[string]bool)
	for i := range internal.functions {
		f := &internal.functions[i]
		have[f.wireName()+"\n"+f.guard.key()] = true
	}
	external.functions = slices.DeleteFunc(external.functions, func(f nodeFunction) bool {
		return have[f.wireName()+"\n"+f.guard.key()] || have[f.wireName()+"\n"]
	})
}
