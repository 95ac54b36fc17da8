package analyzer

import (
	"fmt"
	"go/ast"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A reached is a requirement call that a function gets to.
type reached struct {
	*need
	first *edge // the step in the function itself
	last  *edge // the step in this package that is nearest to the call
	path  []step
}

// why tells the way to the call.
func (s *scan) why(r *reached) string {
	var b strings.Builder
	for _, step := range r.path {
		b.WriteString("calls " + step.Name)
		if !step.here {
			b.WriteString(" (" + s.nearby(step.At) + ")")
		}
		b.WriteString(", which ")
	}
	b.WriteString("calls " + r.Text)
	return b.String()
}

// inPackage reports whether the call itself is in this package.
func (r *reached) inPackage() bool { return r.last.need != nil }

// reach returns the requirement calls that fn gets to, nearest first and in
// source order. Naming a function counts as calling it: t.Run(name, testRestart)
// does, and nobody names a function that takes a testing.TB for another reason.
// Calls of function values and interface methods lead nowhere.
func (s *scan) reach(fn *function) []*reached {
	if !fn.explored && s.leads(fn) {
		fn.reached = s.explore(fn)
	}
	fn.explored = true
	return fn.reached
}

// leads reports whether there is a requirement call that fn gets to. Most
// functions get to none, and need not be explored.
func (s *scan) leads(fn *function) bool {
	if s.leading == nil {
		s.leading = s.leadingTo(func(fn *function) bool {
			return slices.ContainsFunc(fn.edges, func(e edge) bool {
				return e.need != nil || s.needsOf(e.callee) != nil
			})
		})
	}
	return s.leading[fn]
}

// leadingTo returns the functions of the package that get, in any number of
// steps, to one for which is is true.
func (s *scan) leadingTo(is func(fn *function) bool) map[*function]bool {
	callers := make(map[*function][]*function)
	var queue []*function
	for _, fn := range s.funcs {
		for i := range fn.edges {
			if next := s.byObj[fn.edges[i].callee]; next != nil {
				callers[next] = append(callers[next], fn)
			}
		}
		if is(fn) {
			queue = append(queue, fn)
		}
	}
	leading := make(map[*function]bool)
	for ; len(queue) > 0; queue = queue[1:] {
		if fn := queue[0]; !leading[fn] {
			leading[fn] = true
			queue = append(queue, callers[fn]...)
		}
	}
	return leading
}

// maxVisits bounds how often one function is visited, each time with other
// arguments, on the way from another. Beyond that they count as unknown.
const maxVisits = 32

// explore goes through the functions of the package breadth first. A function
// whose parameters end up in options is gone through once for each set of
// arguments, any other one once.
func (s *scan) explore(fn *function) []*reached {
	type visit struct {
		fn    *function
		first *edge
		path  []step
		given map[int]*argument
	}
	var found []*reached
	own := make(map[int]*argument)
	for _, i := range s.params(fn) {
		own[i] = &argument{param: i + 1}
	}
	seen := map[*function]map[string]bool{fn: {key(s.params(fn), own): true}}
	for queue := []visit{{fn: fn, given: own}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for i := range at.fn.edges {
			e := &at.fn.edges[i]
			first := at.first
			if first == nil {
				first = e
			}
			if e.need != nil {
				found = append(found, &reached{e.need.fill(s, at.given), first, e, at.path})
				continue
			}
			if next := s.byObj[e.callee]; next != nil {
				if !s.leads(next) {
					continue
				}
				params := s.params(next)
				given := s.given(at.fn, e, params, at.given)
				k := key(params, given)
				if seen[next][k] {
					continue
				}
				if len(seen[next]) >= maxVisits {
					given = nil
					if k = key(params, nil); seen[next][k] {
						continue
					}
				}
				if seen[next] == nil {
					seen[next] = make(map[string]bool)
				}
				seen[next][k] = true
				queue = append(queue, visit{next, first, append(slices.Clip(at.path), step{s.nameOf(e, len(params) > 0), s.declaredAt(next), true}), given})
				continue
			}
			fact := s.needsOf(e.callee)
			if fact == nil {
				continue
			}
			params := fact.params()
			given := s.given(at.fn, e, params, at.given)
			to := step{s.nameOf(e, len(params) > 0), fact.At, false}
			for i := range fact.Needs {
				n := &fact.Needs[i]
				found = append(found, &reached{n.fill(s, given), first, e, slices.Concat(at.path, []step{to}, n.Path)})
			}
		}
	}
	return found
}

// given is what e, an edge of fn, gives for some of its callee's parameters,
// where fn itself was given outer.
func (s *scan) given(fn *function, e *edge, params []int, outer map[int]*argument) map[int]*argument {
	given := make(map[int]*argument)
	for _, i := range params {
		arg := s.argumentOf(fn, e.call, e.callee.Signature(), i)
		switch {
		case arg == nil:
		case arg.param > 0:
			given[i] = outer[arg.param-1]
		case arg.options != nil && len(arg.options.Holes) > 0:
			given[i] = &argument{options: arg.options.fill(s, outer), at: arg.at}
		default:
			given[i] = arg
		}
	}
	return given
}

func key(params []int, given map[int]*argument) string {
	var b strings.Builder
	for _, i := range params {
		b.WriteString(given[i].key() + ",")
	}
	return b.String()
}

// params returns the parameters of fn that end up in options of a requirement
// call, by index.
func (s *scan) params(fn *function) []int {
	if !s.paramsFound {
		s.paramsFound = true
		for changed := true; changed; {
			changed = false
			for _, fn := range s.funcs {
				if s.findParams(fn) {
					changed = true
				}
			}
		}
	}
	return fn.params
}

// findParams adds to fn.params what is known by now, and reports whether that
// was news.
func (s *scan) findParams(fn *function) bool {
	before := len(fn.params)
	note := func(n *need) {
		for _, h := range n.Holes {
			if !slices.Contains(fn.params, h.Param) {
				fn.params = append(fn.params, h.Param)
			}
		}
	}
	for i := range fn.edges {
		e := &fn.edges[i]
		if e.need != nil {
			note(e.need)
			continue
		}
		if e.call == nil {
			continue
		}
		var params []int
		if next := s.byObj[e.callee]; next != nil {
			params = next.params
		} else if fact := s.needsOf(e.callee); fact != nil {
			params = fact.params()
		}
		for _, i := range params {
			switch arg := s.argumentOf(fn, e.call, e.callee.Signature(), i); {
			case arg == nil:
			case arg.param > 0:
				note(&need{Holes: []hole{{Param: arg.param - 1}}})
			case arg.options != nil:
				note(arg.options)
			}
		}
	}
	slices.Sort(fn.params)
	return len(fn.params) > before
}

// needsOf returns the fact of a function of another package; nil if it has none.
func (s *scan) needsOf(fn *types.Func) *requires {
	if fn.Pkg() == nil || fn.Pkg() == s.pass.Pkg {
		return nil
	}
	fact, known := s.facts[fn]
	if !known {
		if fact = new(requires); !s.pass.ImportObjectFact(fn, fact) {
			fact = nil
		}
		if s.facts == nil {
			s.facts = make(map[*types.Func]*requires)
		}
		s.facts[fn] = fact
	}
	return fact
}

// nameOf is how to call the function that e leads to in a text: newCluster,
// suite.newCluster, clustertest.New; with the arguments if they say something
// about the requirement: newCluster(t, 3).
func (s *scan) nameOf(e *edge, withArgs bool) string {
	fn := e.callee
	name := fn.Name()
	if recv := fn.Signature().Recv(); recv != nil {
		t := types.Unalias(recv.Type())
		if p, ok := t.(*types.Pointer); ok {
			t = types.Unalias(p.Elem())
		}
		if named, ok := t.(*types.Named); ok {
			name = named.Obj().Name() + "." + name
		}
	}
	if fn.Pkg() != s.pass.Pkg {
		name = fn.Pkg().Name() + "." + name
	}
	if withArgs && e.call != nil {
		name += s.argsText(e.call)
	}
	return name
}

// argsText shows a call's arguments; "" if they are too long to be of use.
func (s *scan) argsText(call *ast.CallExpr) string {
	var args []string
	for _, arg := range call.Args {
		args = append(args, s.optionText(arg))
	}
	text := strings.Join(args, ", ")
	if call.Ellipsis.IsValid() {
		text += "..."
	}
	if len(text) > 80 {
		return ""
	}
	return "(" + text + ")"
}

// declaredAt is where fn is declared, in a form that is the same on every
// machine: import path/file.go:line.
func (s *scan) declaredAt(fn *function) string {
	pos := s.pass.Fset.Position(fn.decl.Name.Pos())
	return fmt.Sprintf("%s:%d", path.Join(s.pass.Pkg.Path(), filepath.Base(pos.Filename)), pos.Line)
}

// nearby shortens a place in this package's module to what follows the module's
// path.
func (s *scan) nearby(at string) string {
	if m := s.pass.Module; m != nil {
		if rest, ok := strings.CutPrefix(at, m.Path+"/"); ok {
			return rest
		}
	}
	return at
}
