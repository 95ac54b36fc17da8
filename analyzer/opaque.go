package analyzer

import (
	"go/ast"
	"go/types"
)

// opaque reports whether fn may get to a requirement call in a way that cannot
// be followed: it hands its testing.TB to a function value or an interface's
// method, keeps it in a variable or a struct, or gives it, as testing suites
// want, to a foreign function together with something of this package.
func (s *scan) opaque(fn *function) bool {
	seen := make(map[*function]bool)
	var visit func(fn *function) bool
	visit = func(fn *function) bool {
		if seen[fn] {
			return false
		}
		seen[fn] = true
		if fn.decl.Body != nil && s.losesTB(fn.decl.Body) {
			return true
		}
		for _, e := range fn.edges {
			if next := s.byObj[e.callee]; next != nil && visit(next) {
				return true
			}
		}
		return false
	}
	return visit(fn)
}

// losesTB looks for a use of a testing.TB in body that cannot be followed.
func (s *scan) losesTB(body *ast.BlockStmt) (lost bool) {
	info := s.pass.TypesInfo
	followed := make(map[*ast.Ident]bool)
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok {
				followed[id] = true // t.Run, t.Context
			}
		case *ast.CallExpr:
			if s.runsUnknown(n) {
				lost = true
			}
			if s.follows(n) {
				for _, arg := range n.Args {
					if id, ok := arg.(*ast.Ident); ok {
						followed[id] = true
					}
				}
			}
		case *ast.Ident:
			if obj, ok := info.Uses[n].(*types.Var); ok && isTB(obj.Type()) && !followed[n] {
				lost = true
			}
		}
		return !lost
	})
	return lost
}

// runsUnknown reports whether call is a t.Run of a function that is not to be seen
// there: of a table, say.
func (s *scan) runsUnknown(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Run" || len(call.Args) != 2 || s.tbOf(sel.X) == nil {
		return false
	}
	if _, ok := ast.Unparen(call.Args[1]).(*ast.FuncLit); ok {
		return false
	}
	id := calledIdent(call.Args[1])
	if id == nil {
		return true
	}
	fn, ok := s.pass.TypesInfo.Uses[id].(*types.Func)
	if !ok {
		return true
	}
	recv := fn.Signature().Recv()
	return recv != nil && types.IsInterface(recv.Type())
}

// follows reports whether it is known what call does with a testing.TB.
func (s *scan) follows(call *ast.CallExpr) bool {
	if s.distFunc(call) != "" {
		return true
	}
	id := calledIdent(call.Fun)
	if id == nil {
		return false
	}
	fn, ok := s.pass.TypesInfo.Uses[id].(*types.Func)
	if !ok || fn.Pkg() == nil {
		return false
	}
	if recv := fn.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
		return false
	}
	if fn.Pkg() == s.pass.Pkg {
		return true
	}
	for _, arg := range call.Args {
		switch t := types.Unalias(s.pass.TypesInfo.TypeOf(arg)).(type) {
		case *types.Signature, *types.Interface:
			return false
		case *types.Pointer:
			if named, ok := types.Unalias(t.Elem()).(*types.Named); ok && named.Obj().Pkg() == s.pass.Pkg {
				return false
			}
		case *types.Named:
			if named := t.Obj(); named.Pkg() == s.pass.Pkg && !isTB(t) {
				return false
			}
		}
	}
	return true
}

// isTB reports whether t is testing.TB or one of the types behind it.
func isTB(t types.Type) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	for _, name := range []string{"T", "B", "F", "TB"} {
		if isNamed(t, "testing", name) {
			return true
		}
	}
	return false
}
