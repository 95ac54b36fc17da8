package analyzer

import (
	"go/types"
	"slices"
	"strings"
)

// A reached is a requirement call that a function gets to.
type reached struct {
	*need
	first *edge // the step in the function itself
	last  *edge // the step in this package that is nearest to the call
	path  []string
}

// why tells the way to the call.
func (r *reached) why() string {
	var b strings.Builder
	for _, name := range r.path {
		b.WriteString("calls " + name + ", which ")
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
	if !fn.explored {
		fn.explored, fn.reached = true, s.explore(fn)
	}
	return fn.reached
}

func (s *scan) explore(fn *function) []*reached {
	type step struct {
		fn    *function
		first *edge
		path  []string
	}
	var found []*reached
	seen := map[*function]bool{fn: true}
	for queue := []step{{fn: fn}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for i := range at.fn.edges {
			e := &at.fn.edges[i]
			first := at.first
			if first == nil {
				first = e
			}
			if e.need != nil {
				found = append(found, &reached{e.need, first, e, at.path})
				continue
			}
			name := s.nameOf(e.callee)
			if next := s.byObj[e.callee]; next != nil {
				if !seen[next] {
					seen[next] = true
					queue = append(queue, step{next, first, append(slices.Clip(at.path), name)})
				}
				continue
			}
			var fact requires
			if e.callee.Pkg() != s.pass.Pkg && s.pass.ImportObjectFact(e.callee, &fact) {
				for i := range fact.Needs {
					n := &fact.Needs[i]
					found = append(found, &reached{n, first, e, slices.Concat(at.path, []string{name}, n.Path)})
				}
			}
		}
	}
	return found
}

// nameOf is how to call a function in a text: newCluster, suite.newCluster,
// clustertest.New.
func (s *scan) nameOf(fn *types.Func) string {
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
	return name
}
