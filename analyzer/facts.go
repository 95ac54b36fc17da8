package analyzer

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// requires is the fact that a function gets to requirement calls, so that tests
// of other packages that call it are known to need a cluster.
type requires struct {
	At    string // where the function is declared, see step
	Needs []need
	Later bool // it only names, or has as literals, what gets there, to be run later
}

func (*requires) AFact() {}

func (f *requires) String() string {
	var texts []string
	for i := range f.Needs {
		n := &f.Needs[i]
		var words []string
		for _, step := range n.Path {
			words = append(words, step.Name)
		}
		texts = append(texts, strings.Join(append(words, n.Text), ": "))
	}
	return fmt.Sprintf("requires(%s)", strings.Join(texts, "; "))
}

// params returns the parameters that end up in options, by index.
func (f *requires) params() []int {
	var params []int
	for i := range f.Needs {
		for _, h := range f.Needs[i].Holes {
			params = append(params, h.Param)
		}
	}
	slices.Sort(params)
	return slices.Compact(params)
}

// isRegistered is the fact that a function is registered by its own package.
type isRegistered struct{}

func (*isRegistered) AFact()         {}
func (*isRegistered) String() string { return "registered" }

// diverts is the fact that a function calls dist.Main.
type diverts struct {
	Late bool // and does something else before
}

func (*diverts) AFact() {}
func (d *diverts) String() string {
	if d.Late {
		return "calls dist.Main late"
	}
	return "calls dist.Main"
}

// undiverted is the fact that a TestMain does not begin with dist.Main.
type undiverted struct{}

func (*undiverted) AFact()         {}
func (*undiverted) String() string { return "undiverted" }

// disturbs is the fact that a function injects a fault into a cluster, whatever
// it is given.
type disturbs struct {
	At   string // where the function is declared, see step
	What string // see faults
}

// networkFaults is the fact that a function may inject network faults. The
// clusters of tests that get to it are prepared for them.
type networkFaults struct{}

func (*networkFaults) AFact()         {}
func (*networkFaults) String() string { return "network faults" }

func (*disturbs) AFact()           {}
func (d *disturbs) String() string { return d.What }

func (s *scan) exportFacts() {
	disturbing := s.leadingTo(func(fn *function) bool { return s.faultOf(fn, true) != nil })
	for _, fn := range s.funcs {
		if fn.kind != 0 || fn.obj == nil || isDistPath(s.pass.Pkg.Path()) {
			continue
		}
		if s.parts(fn) {
			s.pass.ExportObjectFact(fn.obj, new(networkFaults))
		}
		var fact requires
		for _, r := range s.reach(fn) {
			n := *r.need
			n.Path, n.options = slices.Clone(r.path), nil
			for i := range n.Path {
				n.Path[i].here = false // it is another package to those who read the fact
			}
			// One of a kind is enough: what counts is what it asks for.
			if !slices.ContainsFunc(fact.Needs, func(m need) bool { return m.same(&n) }) {
				fact.Needs = append(fact.Needs, n)
			}
		}
		if fact.Needs != nil {
			fact.At = s.declaredAt(fn)
			fact.Later = !slices.ContainsFunc(s.callsOf(fn), func(e *edge) bool {
				return s.atOnce(e, map[*function]bool{fn: true})
			})
			s.pass.ExportObjectFact(fn.obj, &fact)
		}
		if !disturbing[fn] {
			continue
		}
		var first *fault
		s.each(fn, func(e *edge) bool { return e.maybe }, func(at *function, _ *edge) {
			if first == nil {
				first = s.faultOf(at, true)
			}
		})
		if first != nil {
			s.pass.ExportObjectFact(fn.obj, &disturbs{s.declaredAt(fn), first.what})
		}
	}
	for _, u := range s.uses {
		if u.name != "Register" || len(u.call.Args) != 1 {
			continue
		}
		if obj := s.plainFunc(u.call.Args[0]); obj != nil && obj.Pkg() == s.pass.Pkg && obj.Signature().TypeParams() == nil {
			s.pass.ExportObjectFact(obj, new(isRegistered))
		}
	}
}

// plainFunc returns the package-level function that x names, nil if x is
// anything else.
func (s *scan) plainFunc(x ast.Expr) *types.Func {
	id := calledIdent(x)
	if id == nil {
		return nil
	}
	obj, ok := s.pass.TypesInfo.Uses[id].(*types.Func)
	if !ok || obj.Pkg() == nil || obj.Signature().Recv() != nil {
		return nil
	}
	return obj
}
