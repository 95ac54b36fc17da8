package analyzer

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/types/typeutil"
)

// A use is a call of a function of package dist.
type use struct {
	name string // "Call", "Register", ...
	call *ast.CallExpr
	file *file
	fn   *function // around it; nil in a variable's initializer
}

// calls reports whether u has nodes run a function, its third argument.
func (u *use) calls() bool {
	return (u.name == "Call" || u.name == "CallAll" || u.name == "CallNodes") && len(u.call.Args) == 4
}

// An edge leads from a function to what it calls, or names.
type edge struct {
	span
	call   *ast.CallExpr // nil if the function is named without calling it
	need   *need         // a requirement call
	callee *types.Func   // otherwise: of any package, not generic
	maybe  bool          // in a branch, see branches
}

// A value is a node function as the tests name it.
type value struct {
	id       *ast.Ident
	expr     ast.Expr // id with its package and type arguments
	obj      *types.Func
	typeArgs []types.Type
}

// readCalls finds what the functions of one file call of package dist and of
// each other.
func (s *scan) readCalls(f *file) {
	for _, decl := range f.syntax.Decls {
		var fn *function
		if decl, ok := decl.(*ast.FuncDecl); ok {
			fn = s.byDecl[decl]
		}
		maybe := s.branches(decl)
		called := make(map[*ast.Ident]*ast.CallExpr)
		ast.Inspect(decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				id := calledIdent(n.Fun)
				if id != nil {
					called[id] = n
				}
				if name := s.distFunc(n); name != "" {
					s.uses = append(s.uses, use{name, n, f, fn})
					if name == "Require" && fn != nil {
						fn.edges = append(fn.edges, edge{span: span{n.Pos(), n.End()}, call: n, need: s.readNeed(fn, n)})
					}
				} else if fn != nil {
					if recv, method := s.distMethod(n); faults[recv+"."+method] != "" {
						fn.faults = append(fn.faults, fault{n, faults[recv+"."+method], "", maybe(n.Pos())})
					}
				}
			case *ast.Ident:
				s.readIdent(f, fn, n, called[n], maybe)
			}
			return true
		})
	}
}

// readIdent notes what a function's name means where it stands.
func (s *scan) readIdent(f *file, fn *function, id *ast.Ident, call *ast.CallExpr, maybe func(token.Pos) bool) {
	obj, ok := s.pass.TypesInfo.Uses[id].(*types.Func)
	if !ok || obj.Pkg() == nil {
		return
	}
	if call == nil && f.test && isNodeFunc(s.typeOf(id)) {
		if v, ok := s.valueOf(id, obj); ok {
			s.values = append(s.values, v)
		}
	}
	if fn == nil {
		if s.namedOutside == nil {
			s.namedOutside = make(map[*types.Func]bool)
		}
		s.namedOutside[obj.Origin()] = true
	}
	if fn != nil && isNetworkFault(obj) {
		fn.network = true
	}
	if fn == nil || isDistPath(obj.Pkg().Path()) && !isDistPath(s.pass.Pkg.Path()) {
		return
	}
	if recv := obj.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
		return // whose method it is nobody knows
	}
	fn.edges = append(fn.edges, edge{span: span{id.Pos(), id.End()}, call: call, callee: obj.Origin(), maybe: maybe(id.Pos())})
}

// branches returns what tells whether a place in decl is in a branch: in the
// body of an if, in a case, or in a function literal that is not handed to
// anyone, and so may be run or not.
func (s *scan) branches(decl ast.Decl) func(token.Pos) bool {
	var branches []span
	handed := make(map[ast.Node]bool)
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			branches = append(branches, span{n.Body.Pos(), n.Body.End()})
			if n.Else != nil {
				branches = append(branches, span{n.Else.Pos(), n.Else.End()})
			}
		case *ast.CaseClause, *ast.CommClause:
			branches = append(branches, span{n.Pos(), n.End()})
		case *ast.CallExpr:
			handed[ast.Unparen(n.Fun)] = true
			for _, arg := range n.Args {
				handed[ast.Unparen(arg)] = true
			}
		case *ast.FuncLit:
			if !handed[n] {
				branches = append(branches, span{n.Pos(), n.End()})
			}
		}
		return true
	})
	return func(pos token.Pos) bool {
		return slices.ContainsFunc(branches, func(b span) bool { return b.pos <= pos && pos < b.end })
	}
}

// typeOf is the type of a function's name where it stands: of a generic one,
// the instance's.
func (s *scan) typeOf(id *ast.Ident) types.Type {
	if inst, ok := s.pass.TypesInfo.Instances[id]; ok {
		return inst.Type
	}
	return s.pass.TypesInfo.TypeOf(id)
}

// calledIdent returns the name that a call goes by: f, p.f, x.f, f[int].
func calledIdent(fun ast.Expr) *ast.Ident {
	switch x := ast.Unparen(fun).(type) {
	case *ast.Ident:
		return x
	case *ast.SelectorExpr:
		return x.Sel
	case *ast.IndexExpr:
		return calledIdent(x.X)
	case *ast.IndexListExpr:
		return calledIdent(x.X)
	}
	return nil
}

// distFunc returns the name of the function of package dist that call calls;
// "" if it calls none.
func (s *scan) distFunc(call *ast.CallExpr) string {
	fn, ok := typeutil.Callee(s.pass.TypesInfo, call).(*types.Func)
	if !ok || fn.Pkg() == nil || !isDistPath(fn.Pkg().Path()) || fn.Signature().Recv() != nil {
		return ""
	}
	return fn.Name()
}
