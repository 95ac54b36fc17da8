package analyzer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/distkit/dist/requirement"
)

// plan decides for every test what it needs.
func (s *scan) plan() {
	s.result.Plan.Package = s.pass.Pkg.Path()
	for _, fn := range s.funcs {
		if fn.kind == 0 {
			continue
		}
		calls := s.reach(fn)
		if fn.directive == nil && len(calls) == 0 {
			continue
		}
		s.result.Tests = append(s.result.Tests, s.planTest(fn, calls))
	}
	for _, t := range s.result.Tests {
		s.result.Plan.Tests = append(s.result.Plan.Tests, t.Test)
	}
}

// planTest combines the directive of one test, the calls it reaches and the
// package's default.
func (s *scan) planTest(fn *function, calls []*reached) Test {
	var def, stated requirement.Requirement
	if s.def != nil {
		def = s.def.Requirement
	}
	if fn.directive != nil {
		stated = fn.directive.Requirement
	}
	t := Test{Test: requirement.Test{Name: fn.decl.Name.Name, Faults: s.parts(fn)}, Constraint: fn.file.constraint}
	var decided *reached
	usedDefault := false
	for i, call := range calls {
		need, agreed := s.agree(fn, stated, call)
		if need.Nodes == 0 && s.def != nil && !call.Dynamic {
			need, usedDefault = need.WithDefault(def), true
		}
		if agreed {
			s.checkNeed(fn, call, need)
		}
		if i == 0 {
			t.Requirement = need
			decided = call
			continue
		}
		if need.Nodes > t.Requirement.Nodes {
			decided = call
		}
		t.Requirement = requirement.Join(t.Requirement, need)
	}
	s.checkDirective(fn, calls)
	switch {
	case len(calls) == 0:
		t.Requirement = stated.WithDefault(def)
	case stated.Nodes != 0:
		t.Requirement.Nodes = stated.Nodes
	}
	if fn.directive != nil {
		t.Pos, t.Why = fn.directive.Pos, "//dist:"+stated.String()
	} else {
		t.Pos, t.Why = decided.last.pos, s.why(decided)
	}
	if usedDefault {
		t.Why += "; the package's default is //dist:" + def.String()
	}
	return t
}

// agree merges a test's directive with one call it reaches, and reports where
// they contradict each other.
func (s *scan) agree(fn *function, stated requirement.Requirement, call *reached) (requirement.Requirement, bool) {
	need, err := requirement.Merge(stated, call.Requirement)
	var conflict *requirement.Conflict
	if !errors.As(err, &conflict) {
		return need, true
	}
	// At the call if the test itself makes it; a helper has other callers too.
	word, _ := fn.directive.Find(conflict.Word)
	at := span{word.Pos, word.End}
	if word.Pos == token.NoPos {
		at = span{fn.directive.Pos, fn.directive.End}
	}
	related := analysis.RelatedInformation{Pos: call.last.pos, End: call.last.end, Message: "the call is here"}
	how := ""
	if call.inPackage() && len(call.path) == 0 {
		related = analysis.RelatedInformation{Pos: at.pos, End: at.end, Message: "the directive is here"}
		at = call.last.at(conflict.Word)
	} else {
		how = fmt.Sprintf("; %s %s", fn.decl.Name.Name, s.why(call))
	}
	s.reportRelated(Disagree, at, []analysis.RelatedInformation{related}, nil, "%v%s", conflict, how)
	return need, false
}

// checkNeed reports a requirement that is complete and cannot be met, and a
// size that nobody can know beforehand.
func (s *scan) checkNeed(fn *function, call *reached, need requirement.Requirement) {
	direct := call.inPackage() && len(call.path) == 0
	at := func(word string) analysis.Range {
		if direct {
			return call.last.at(word)
		}
		return fn.decl.Name
	}
	how := ""
	if !direct {
		how = fmt.Sprintf("; %s %s", fn.decl.Name.Name, s.why(call))
	}
	if call.Dynamic && (fn.directive == nil || fn.directive.Requirement.Nodes == 0) {
		s.reportRelated(NoBound, at(requirement.WordNodes), call.where(), nil,
			"the size of this cluster is not constant: %s needs a //dist:nodes=N directive as its upper bound%s", fn.decl.Name.Name, how)
	}
	if err := need.Validate(); err != nil && !call.Open {
		word := requirement.WordShared
		if need.Nodes != 0 && need.Min > need.Nodes {
			word = requirement.WordMin
		}
		s.reportRelated(BadRequirement, at(word), call.where(), nil, "%s asks for what cannot be: %v%s", fn.decl.Name.Name, err, how)
	}
}

// where points to the call, or to the step in this package that leads there.
func (r *reached) where() []analysis.RelatedInformation {
	return []analysis.RelatedInformation{{Pos: r.last.pos, End: r.last.end, Message: "the call is here"}}
}

// checkDirective reports a directive that says more than the test asks for:
// the test would run, and not as its author believes.
func (s *scan) checkDirective(fn *function, calls []*reached) {
	d := fn.directive
	if d == nil || s.opaque(fn) {
		return
	}
	if len(calls) == 0 {
		s.report(Unused, span{d.Pos, d.End}, nil, "%s has a dist directive and never calls dist.Require: it runs without a cluster", fn.decl.Name.Name)
		return
	}
	largest := 0
	for _, call := range calls {
		if call.Dynamic || call.Nodes == 0 {
			return
		}
		largest = max(largest, call.Nodes)
	}
	if word, ok := d.Find(requirement.WordNodes); ok && largest < d.Requirement.Nodes {
		at := span{word.Pos, word.End}
		right := requirement.Requirement{Nodes: largest}.String()
		s.reportRelated(LooseBound, at, calls[0].where(), replace("write "+right, at, right),
			"the directive says nodes=%d, but no call of %s asks for more than %d", d.Requirement.Nodes, fn.decl.Name.Name, largest)
	}
}

// finishPlan settles what depends on all the rest.
func (s *scan) finishPlan() {
	r := s.result
	tests, requires := false, false
	for _, f := range s.files {
		tests = tests || f.test && !f.generated
	}
	for _, u := range s.uses {
		if u.file.test && (u.name == "Require" || u.name == "Main") {
			requires = true
		}
	}
	r.UsesDist = tests && (len(r.Tests) > 0 || len(r.Functions) > 0 || requires)
	r.Plan.Digest = s.digest()
}

// digest sums up what the bootstrap says, without positions, so that moving a
// test does not make it stale. What is only in some builds is left out: the
// bootstrap must not look stale on all systems but the one it was written on.
func (s *scan) digest() string {
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, fn := range s.funcs {
		if fn.kind == 0 || fn.file.constraint != "" {
			continue
		}
		for _, t := range s.result.Plan.Tests {
			if t.Name == fn.decl.Name.Name {
				line("test %s %s", t.Name, t.Requirement)
				if t.Faults {
					line("faults %s", t.Name)
				}
			}
		}
	}
	for _, f := range s.result.Functions {
		named := s.fileOf(f.Pos)
		if f.Constraint != "" || named != nil && named.constraint != "" {
			continue
		}
		line("func %s", f.key())
	}
	slices.Sort(lines)
	head := fmt.Sprintf("package %s\nown main %t\n", s.result.Plan.Package, s.result.Plan.OwnMain)
	sum := sha256.Sum256([]byte(head + strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// key tells functions apart: the full name, with the type arguments.
func (f *Function) key() string {
	key := f.Object.FullName()
	if len(f.TypeArgs) == 0 {
		return key
	}
	var args []string
	for _, t := range f.TypeArgs {
		args = append(args, types.TypeString(t, nil))
	}
	return key + "[" + strings.Join(args, ",") + "]"
}
