package analyzer

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// An access is what one function does with the variables of its package, by
// the identifier where it first does it.
type access struct {
	vars          []*types.Var // in source order
	reads, writes map[*types.Var]*ast.Ident
	assigned      map[*ast.Ident]bool // identifiers that only receive a value
}

// assigns reports whether id only receives a value where it stands.
func (a *access) assigns(id *ast.Ident) bool { return a.assigned[id] }

// access reads the body of fn.
func (s *scan) access(fn *function) *access {
	if fn.access != nil {
		return fn.access
	}
	a := &access{
		reads:    make(map[*types.Var]*ast.Ident),
		writes:   make(map[*types.Var]*ast.Ident),
		assigned: make(map[*ast.Ident]bool),
	}
	fn.access = a
	if fn.decl.Body == nil {
		return a
	}
	write := func(x ast.Expr) {
		id := baseOf(x)
		if id == nil {
			return
		}
		a.assigned[id] = true
		if v := s.packageVar(id); v != nil && a.writes[v] == nil {
			a.writes[v] = id
		}
	}
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, x := range n.Lhs {
				write(x)
			}
		case *ast.IncDecStmt:
			write(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				write(n.Key)
				write(n.Value)
			}
		case *ast.BinaryExpr:
			// Asking whether there is a value is no use of it.
			if s.pass.TypesInfo.Types[n.Y].IsNil() {
				if id := baseOf(n.X); id == n.X {
					a.assigned[id] = true
				}
			}
		case *ast.CallExpr:
			if x, writes := s.atomic(n); writes {
				write(x)
			} else if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 {
				if b, ok := s.pass.TypesInfo.Uses[id].(*types.Builtin); ok && (b.Name() == "delete" || b.Name() == "clear") {
					write(n.Args[0])
				}
			}
		case *ast.Ident:
			v := s.packageVar(n)
			if v == nil {
				return true
			}
			if !slices.Contains(a.vars, v) {
				a.vars = append(a.vars, v)
			}
			if !a.assigned[n] && a.reads[v] == nil {
				a.reads[v] = n
			}
		}
		return true
	})
	return a
}

// atomic returns the variable that call, a method of package sync/atomic, is
// about, and whether it gives it another value.
func (s *scan) atomic(call *ast.CallExpr) (x ast.Expr, writes bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, false
	}
	fn, ok := s.pass.TypesInfo.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Pkg().Path() != "sync/atomic" || fn.Signature().Recv() == nil {
		return nil, false
	}
	switch fn.Name() {
	case "Store", "Add", "And", "Or", "CompareAndSwap":
		return sel.X, true
	}
	return nil, false
}

// baseOf returns the variable that x is, or is a part of: v, v.f, v[i], *v.
func baseOf(x ast.Expr) *ast.Ident {
	for {
		switch y := x.(type) {
		case *ast.Ident:
			return y
		case *ast.ParenExpr:
			x = y.X
		case *ast.StarExpr:
			x = y.X
		case *ast.IndexExpr:
			x = y.X
		case *ast.SelectorExpr:
			x = y.X
		default:
			return nil
		}
	}
}

// packageVar returns the variable of this package, at its level, that id names.
func (s *scan) packageVar(id *ast.Ident) *types.Var {
	v, ok := s.pass.TypesInfo.Uses[id].(*types.Var)
	if !ok || v.Parent() != s.pass.Pkg.Scope() {
		return nil
	}
	return v
}

// packageVars are the variables of the package, by name.
func (s *scan) packageVars() []*types.Var {
	var vars []*types.Var
	scope := s.pass.Pkg.Scope()
	for _, name := range scope.Names() {
		if v, ok := scope.Lookup(name).(*types.Var); ok {
			vars = append(vars, v)
		}
	}
	return vars
}

// addressed has the variables of the package that anyone may write, and at any
// time: their address is taken, or a function literal outside all functions
// writes them.
func (s *scan) addressed() map[*types.Var]bool {
	if s.addressedVars != nil {
		return s.addressedVars
	}
	s.addressedVars = make(map[*types.Var]bool)
	for _, f := range s.files {
		for _, decl := range f.syntax.Decls {
			_, isFunc := decl.(*ast.FuncDecl)
			note := func(x ast.Expr) {
				if id := baseOf(x); id != nil {
					if v := s.packageVar(id); v != nil {
						s.addressedVars[v] = true
					}
				}
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.UnaryExpr:
					if n.Op == token.AND {
						note(n.X)
					}
				case *ast.AssignStmt:
					if !isFunc {
						for _, x := range n.Lhs {
							note(x)
						}
					}
				case *ast.IncDecStmt:
					if !isFunc {
						note(n.X)
					}
				}
				return true
			})
		}
	}
	return s.addressedVars
}

// each visits fn and the functions of the package that it gets to, each once,
// nearest first, with the edge of fn that leads there. It leaves aside edges for
// which skip is true.
func (s *scan) each(fn *function, skip func(*edge) bool, visit func(at *function, first *edge)) {
	type step struct {
		fn    *function
		first *edge
	}
	seen := map[*function]bool{fn: true}
	for queue := []step{{fn, nil}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		visit(at.fn, at.first)
		for i := range at.fn.edges {
			e := &at.fn.edges[i]
			next := s.byObj[e.callee]
			if next == nil || seen[next] || skip != nil && skip(e) {
				continue
			}
			seen[next] = true
			first := at.first
			if first == nil {
				first = e
			}
			queue = append(queue, step{next, first})
		}
	}
}
