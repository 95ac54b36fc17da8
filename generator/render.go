package generator

import (
	"bytes"
	"cmp"
	"fmt"
	"go/types"
	"slices"
	"strings"
	"time"

	"github.com/dave/jennifer/jen"

	"github.com/distkit/dist/requirement"
)

// The packages that bootstraps import.
const (
	runtimePath     = distPath + "/runtime"
	requirementPath = distPath + "/requirement"
)

// A rendering is one bootstrap as it should be.
type rendering struct {
	name    string // base name
	content []byte
}

// A bootstrapPlan is what the bootstraps of one package say.
type bootstrapPlan struct {
	plan      requirement.Plan // without its tests
	tests     []plannedTest
	functions []nodeFunction
	testMain  bool // one of them holds the TestMain of the binary
	external  bool // the package is p_test
	name      string
	path      string            // import path, with _test for p_test
	importer  string            // the path of p, by which internal packages decide who may import them
	declared  map[string]bool   // package-level identifiers, which an import must not hide
	imports   map[string]string // names of the packages that functions come from, by path
}

// A plannedTest is one line of the plan.
type plannedTest struct {
	requirement.Test
	guard guard
}

// A nodeFunction is one line of the table.
type nodeFunction struct {
	object   *types.Func
	typeArgs []types.Type
	guard    guard
}

// wireName is what both sides of a call know the function by. All instances of
// a generic function share one symbol name, so their type arguments count.
func (f *nodeFunction) wireName() string {
	name := f.object.Pkg().Path() + "." + f.object.Name()
	if len(f.typeArgs) > 0 {
		args := make([]string, len(f.typeArgs))
		for i, t := range f.typeArgs {
			args[i] = types.TypeString(t, nil)
		}
		name += "[" + strings.Join(args, ",") + "]"
	}
	return name
}

// render returns the bootstraps of one package: the main one, and one for each
// constraint that tests or functions are declared behind: without the tag,
// nobody knows of them, and what is written must not depend on who writes it.
func (p *bootstrapPlan) render() ([]rendering, error) {
	byGuard := map[string][]nodeFunction{"": nil}
	tests := make(map[string][]requirement.Test)
	guards := map[string]guard{"": {}}
	for _, t := range p.tests {
		k := t.guard.key()
		tests[k] = append(tests[k], t.Test)
		guards[k] = t.guard
	}
	for _, f := range p.functions {
		k := f.guard.key()
		byGuard[k] = append(byGuard[k], f)
		guards[k] = f.guard
	}
	var out []rendering
	for k, g := range guards {
		r, err := p.renderFile(g, tests[k], byGuard[k])
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b rendering) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// renderFile renders the bootstrap behind g.
func (p *bootstrapPlan) renderFile(g guard, tests []requirement.Test, functions []nodeFunction) (rendering, error) {
	main := g.expr == nil
	f := jen.NewFilePathName(p.path, p.name)
	f.HeaderComment(g.buildLine() + "\n")
	f.HeaderComment(headerLine)
	p.nameImports(f)

	var statements []jen.Code
	if main || len(tests) > 0 {
		plan := p.plan
		plan.Tests = tests
		if !main {
			plan.Digest = "" // it is for what every build has
		}
		statements = append(statements, jen.Qual(runtimePath, "Load").Call(planLiteral(&plan)))
	}
	slices.SortFunc(functions, func(a, b nodeFunction) int { return cmp.Compare(a.wireName(), b.wireName()) })
	for i := range functions {
		fn := &functions[i]
		statements = append(statements,
			jen.Qual(runtimePath, "Func").Call(jen.Lit(fn.wireName()), p.reference(fn)).
				Comment("// undefined? run: go generate"))
	}
	f.Func().Id("init").Params().Block(statements...)

	if main && p.testMain {
		f.Line()
		f.Comment("// TestMain decides which life this process leads. Nodes are this test binary run")
		f.Comment("// again: whatever came before the decision would run in every one of them.")
		f.Func().Id("TestMain").Params(jen.Id("m").Op("*").Qual("testing", "M")).Block(
			jen.Qual("os", "Exit").Call(jen.Qual(distPath, "Main").Call(jen.Id("m"))))
	}

	var buf bytes.Buffer
	if err := f.Render(&buf); err != nil {
		return rendering{}, fmt.Errorf("render %s: %w", g.fileName(p.external), err)
	}
	return rendering{g.fileName(p.external), buf.Bytes()}, nil
}

// nameImports settles the names of all packages that a bootstrap may import. A
// package-level identifier of the same name would be redeclared by the import.
func (p *bootstrapPlan) nameImports(f *jen.File) {
	fixed := []struct{ path, name string }{
		{distPath, "dist"},
		{runtimePath, "runtime"},
		{requirementPath, "requirement"},
		{"os", "os"},
		{"testing", "testing"},
		{"time", "time"},
	}
	taken := make(map[string]bool)
	settle := func(path, name string) {
		alias := name
		for n := 2; taken[alias] || p.declared[alias] || jen.IsReservedWord(alias) && alias != name; n++ {
			alias = fmt.Sprintf("%s%d", name, n)
		}
		taken[alias] = true
		if alias != name {
			f.ImportAlias(path, alias)
		} else {
			f.ImportName(path, name)
		}
	}
	known := map[string]bool{p.path: true}
	for _, i := range fixed {
		known[i.path] = true
		settle(i.path, i.name)
	}
	paths := make([]string, 0, len(p.imports))
	for path := range p.imports {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if !known[path] {
			settle(path, p.imports[path])
		}
	}
}

// reference renders the expression that names a function.
func (p *bootstrapPlan) reference(fn *nodeFunction) *jen.Statement {
	ref := jen.Qual(fn.object.Pkg().Path(), fn.object.Name())
	if len(fn.typeArgs) > 0 {
		args := make([]jen.Code, len(fn.typeArgs))
		for i, t := range fn.typeArgs {
			args[i] = typeExpr(t)
		}
		ref.Index(jen.List(args...))
	}
	return ref
}

// planLiteral renders a plan with one test a line and without zero values.
func planLiteral(plan *requirement.Plan) jen.Code {
	fields := []jen.Code{jen.Id("Package").Op(":").Lit(plan.Package)}
	if plan.Config != "" {
		fields = append(fields, jen.Id("Config").Op(":").Lit(plan.Config))
	}
	if plan.OwnMain {
		fields = append(fields, jen.Id("OwnMain").Op(":").True())
	}
	if len(plan.Tests) > 0 {
		tests := make([]jen.Code, len(plan.Tests))
		for i, t := range plan.Tests {
			values := []jen.Code{jen.Id("Name").Op(":").Lit(t.Name)}
			if req := requirementFields(&t.Requirement); len(req) > 0 {
				values = append(values, jen.Id("Requirement").Op(":").
					Qual(requirementPath, "Requirement").Values(req...))
			}
			if t.Faults {
				values = append(values, jen.Id("Faults").Op(":").True())
			}
			tests[i] = jen.Values(values...)
		}
		fields = append(fields, jen.Id("Tests").Op(":").
			Index().Qual(requirementPath, "Test").Add(lines(tests)))
	}
	if plan.Digest != "" {
		fields = append(fields, jen.Id("Digest").Op(":").Lit(plan.Digest))
	}
	return jen.Qual(requirementPath, "Plan").Add(lines(fields))
}

// lines renders values in braces, one a line.
func lines(values []jen.Code) jen.Code {
	return jen.Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, values...)
}

func requirementFields(r *requirement.Requirement) []jen.Code {
	var fields []jen.Code
	field := func(name string, value *jen.Statement) {
		fields = append(fields, jen.Id(name).Op(":").Add(value))
	}
	if r.Nodes != 0 {
		field("Nodes", jen.Lit(r.Nodes))
	}
	if r.Min != 0 {
		field("Min", jen.Lit(r.Min))
	}
	if r.Program != "" {
		field("Program", jen.Lit(r.Program))
	}
	if len(r.Ports) > 0 {
		ports := make([]jen.Code, len(r.Ports))
		for i, p := range r.Ports {
			ports[i] = jen.Lit(p)
		}
		field("Ports", jen.Index().String().Values(ports...))
	}
	if r.Reuse {
		field("Reuse", jen.True())
	}
	if r.Shared {
		field("Shared", jen.True())
	}
	if r.Optional {
		field("Optional", jen.True())
	}
	if r.Timeout != 0 {
		field("Timeout", durationExpr(r.Timeout))
	}
	return fields
}

// durationExpr renders d the way people write it.
func durationExpr(d time.Duration) *jen.Statement {
	units := []struct {
		unit time.Duration
		name string
	}{
		{time.Hour, "Hour"},
		{time.Minute, "Minute"},
		{time.Second, "Second"},
		{time.Millisecond, "Millisecond"},
		{time.Microsecond, "Microsecond"},
		{time.Nanosecond, "Nanosecond"},
	}
	for _, u := range units {
		if d%u.unit == 0 {
			if d == u.unit {
				return jen.Qual("time", u.name)
			}
			return jen.Lit(int(d/u.unit)).Op("*").Qual("time", u.name)
		}
	}
	panic("unreachable: every duration is a multiple of a nanosecond")
}
