package analyzer

import (
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/types/typeutil"
)

// opaque reports whether fn may get to a requirement call in a way that cannot
// be followed: it hands its testing.TB to a function value or an interface's
// method, keeps it in a variable or a struct, gives it, as testing suites want,
// to a foreign function together with something of this package, or has t.Run
// call a function that comes from elsewhere.
func (s *scan) opaque(fn *function) bool {
	seen := make(map[*function]bool)
	values, elsewhere := false, false
	var visit func(fn *function) bool
	visit = func(fn *function) bool {
		if seen[fn] {
			return false
		}
		seen[fn] = true
		if fn.decl.Body != nil {
			runs := s.runs(fn.decl.Body)
			if runs == runsMethod || s.losesTB(fn.decl.Body) {
				return true
			}
			values = values || runs == runsValue
			elsewhere = elsewhere || s.takesTests(fn.decl.Body)
		}
		for _, e := range fn.edges {
			if next := s.byObj[e.callee]; next != nil && visit(next) {
				return true
			}
		}
		return false
	}
	// What a table in a function of those says is in their edges.
	return visit(fn) || values && elsewhere
}

// What t.Run is given in a function besides function literals and functions'
// names.
const (
	runsKnown  = iota // nothing
	runsValue         // the value of an expression
	runsMethod        // an interface's method
)

// runs looks at what body gives to t.Run.
func (s *scan) runs(body *ast.BlockStmt) int {
	most := runsKnown
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			return true
		}
		fn, ok := typeutil.Callee(s.pass.TypesInfo, call).(*types.Func)
		if !ok || fn.FullName() != "(*testing.T).Run" && fn.FullName() != "(*testing.B).Run" {
			return true
		}
		arg := ast.Unparen(call.Args[1])
		if _, ok := arg.(*ast.FuncLit); ok {
			return true
		}
		given := runsValue
		if id := calledIdent(arg); id != nil {
			if fn, ok := s.pass.TypesInfo.Uses[id].(*types.Func); ok {
				given = runsKnown
				if recv := fn.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
					given = runsMethod
				}
			}
		}
		most = max(most, given)
		return true
	})
	return most
}

// takesTests reports whether body may get functions that take a testing.TB from
// elsewhere than from its own literals and from the functions it names: from a
// package variable, from a function of another package or an interface's method,
// or from a conversion of an interface's value.
func (s *scan) takesTests(body *ast.BlockStmt) (found bool) {
	info := s.pass.TypesInfo
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			v, ok := info.Uses[n].(*types.Var)
			found = found || ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() && holdsTests(v.Type(), s.pass.Pkg)
		case *ast.TypeAssertExpr:
			found = found || n.Type != nil && holdsTests(info.TypeOf(n), s.pass.Pkg)
		case *ast.CaseClause:
			found = found || slices.ContainsFunc(n.List, func(x ast.Expr) bool {
				return info.Types[x].IsType() && holdsTests(info.TypeOf(x), s.pass.Pkg)
			})
		case *ast.CallExpr:
			fn, ok := typeutil.Callee(info, n).(*types.Func)
			if !ok || s.byObj[fn.Origin()] != nil {
				break
			}
			found = found || holdsTests(info.TypeOf(n), s.pass.Pkg)
			for _, arg := range n.Args {
				// A callback: registry.Each(func(name string, test func(*testing.T)) { ... })
				if sig, ok := types.Unalias(info.TypeOf(arg)).(*types.Signature); ok {
					found = found || holdsTests(sig.Params(), s.pass.Pkg)
				}
			}
		}
		return !found
	})
	return found
}

// holdsTests reports whether pkg can get functions that take a testing.TB out of
// values of type t.
func holdsTests(t types.Type, pkg *types.Package) bool {
	var seen typeutil.Map
	var visit func(t types.Type) bool
	visit = func(t types.Type) bool {
		if t == nil || isTB(t) || seen.Set(t, true) != nil {
			return false
		}
		switch t := t.Underlying().(type) {
		case *types.Signature:
			for v := range t.Params().Variables() {
				if isTB(v.Type()) {
					return true
				}
			}
			// An iterator, or one that makes them.
			return visit(t.Params()) || visit(t.Results())
		case *types.Tuple:
			for v := range t.Variables() {
				if visit(v.Type()) {
					return true
				}
			}
		case *types.Struct:
			for f := range t.Fields() {
				if (f.Exported() || f.Pkg() == pkg) && visit(f.Type()) {
					return true
				}
			}
		case *types.Map:
			return visit(t.Key()) || visit(t.Elem())
		case interface{ Elem() types.Type }: // pointer, slice, array, channel
			return visit(t.Elem())
		}
		return false
	}
	return visit(t)
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
		if holdsTests(s.pass.TypesInfo.TypeOf(arg), s.pass.Pkg) {
			return false
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
