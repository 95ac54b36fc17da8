package analyzer

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// checkProcesses reports package variables by which a test means to tell its
// nodes something, or to learn something from them: every process has its own.
func (s *scan) checkProcesses() {
	nodes := s.nodeFunctions()
	if len(nodes) == 0 {
		return
	}
	sides := s.sides()
	for _, fn := range s.funcs {
		if fn.kind == 0 || fn.decl.Body == nil {
			continue
		}
		given := s.givenTo(fn)
		for _, node := range nodes {
			if call, ok := given[node]; ok {
				s.checkToNode(fn, node, call, sides)
				s.checkFromNode(fn, node, call, sides)
			}
		}
	}
}

// givenTo returns the functions that fn, or what it calls in the test's process,
// has nodes run, and where in fn that happens first.
func (s *scan) givenTo(fn *function) map[*function]token.Pos {
	given := make(map[*function]token.Pos)
	s.each(fn, s.toNode, func(at *function, first *edge) {
		for i := range at.edges {
			e := &at.edges[i]
			node := s.byObj[e.callee]
			if node == nil || !s.nodeArgs[e.pos] {
				continue
			}
			pos := e.pos
			if first != nil {
				pos = first.pos
			}
			if old, ok := given[node]; !ok || pos < old {
				given[node] = pos
			}
		}
	})
	return given
}

// toNode reports whether e names a function that a call sends to nodes, or
// that a wrapper of such a call may send there.
func (s *scan) toNode(e *edge) bool {
	return s.nodeArgs[e.pos] || e.call == nil && isNodeFunc(e.callee.Type())
}

// checkToNode reports variables that the test sets before the call and that the
// function on the node reads. That program code reads a setting of its own is
// left aside: its default may be what the node should have.
func (s *scan) checkToNode(fn, node *function, call token.Pos, sides map[*types.Var]side) {
	var read []*types.Var
	s.each(node, nil, func(at *function, _ *edge) {
		a := s.access(at)
		for _, v := range a.vars {
			if at.file.test && a.reads[v] != nil && sides[v] == testSide {
				read = append(read, v)
			}
		}
	})
	for _, v := range read {
		s.each(fn, s.toNode, func(at *function, first *edge) {
			id := s.access(at).writes[v]
			if id == nil {
				return
			}
			var pos analysis.Range = id
			if first != nil {
				pos = first
			}
			if pos.Pos() < call {
				s.reportOnce(OtherProcess, pos, "%s runs on nodes and does not see the %s that this process sets: would be right as a part of its argument", node.decl.Name.Name, v.Name())
			}
		})
	}
}

// checkFromNode reports variables that the test itself reads after the call and
// that only functions on nodes set.
func (s *scan) checkFromNode(fn, node *function, call token.Pos, sides map[*types.Var]side) {
	s.each(node, nil, func(at *function, _ *edge) {
		for v := range s.access(at).writes {
			if sides[v] != nodeSide {
				continue
			}
			if id := s.access(fn).reads[v]; id != nil && id.Pos() > call {
				s.reportOnce(OtherProcess, id, "%s is set by %s, on nodes, and never in this process: would be right as a part of its result", v.Name(), node.decl.Name.Name)
			}
		}
	})
}

// A side is in which of a test's two kinds of process something happens.
type side int

const (
	unknownSide side = iota
	testSide
	nodeSide
)

// sides tells which variables are set in tests only, and which on nodes only.
func (s *scan) sides() map[*types.Var]side {
	runs := s.runsOn()
	sides := make(map[*types.Var]side)
	for v := range s.addressed() {
		sides[v] = unknownSide
	}
	for _, fn := range s.funcs {
		for v := range s.access(fn).writes {
			if old, ok := sides[v]; ok && old != runs[fn] {
				sides[v] = unknownSide
			} else {
				sides[v] = runs[fn]
			}
		}
	}
	for v := range sides {
		if v.Exported() {
			sides[v] = unknownSide // whoever imports the package may set it
		}
	}
	return sides
}

// runsOn tells which functions run in tests only, and which on nodes only: all
// who name them do.
func (s *scan) runsOn() map[*function]side {
	const both = -1
	runs := make(map[*function]side)
	for _, fn := range s.funcs {
		if fn.kind != 0 {
			runs[fn] = testSide
		}
	}
	callers := make(map[*function][]*function)
	node, either := make(map[*function]bool), make(map[*function]bool)
	for _, fn := range s.funcs {
		for i := range fn.edges {
			e := &fn.edges[i]
			callee := s.byObj[e.callee]
			switch {
			case callee == nil:
			case s.nodeArgs[e.pos]:
				node[callee] = true
			case s.toNode(e):
				either[callee] = true
			default:
				callers[callee] = append(callers[callee], fn)
			}
		}
	}
	for _, fn := range s.funcs {
		either[fn] = either[fn] || s.namedOutside[fn.obj]
		if node[fn] && len(callers[fn]) == 0 && !either[fn] {
			runs[fn] = nodeSide
		}
	}
	// What has no caller but those that are settled is settled, too.
	for changed := true; changed; {
		changed = false
		for _, fn := range s.funcs {
			if runs[fn] != unknownSide || fn.decl.Recv != nil || node[fn] || len(callers[fn]) == 0 || either[fn] ||
				!fn.file.test && ast.IsExported(fn.decl.Name.Name) {
				continue
			}
			is := runs[callers[fn][0]]
			for _, c := range callers[fn] {
				if runs[c] != is && c != fn {
					is = both
				}
			}
			if is > unknownSide {
				runs[fn] = is
				changed = true
			}
		}
	}
	return runs
}
