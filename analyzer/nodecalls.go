package analyzer

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// checkNodeCalls checks the functions and values that calls of dist.Call,
// dist.CallAll, dist.CallNodes and dist.Register send to nodes.
func (s *scan) checkNodeCalls() {
	registered := s.registeredHere()
	fixed := make(map[string]bool)
	for _, u := range s.uses {
		var fn ast.Expr
		switch {
		case u.name == "Register" && len(u.call.Args) == 1:
			fn = u.call.Args[0]
			s.checkRegister(u)
		case u.calls():
			fn = u.call.Args[2]
		case u.name == "RegisterErrors":
			s.checkRegister(u)
			continue
		default:
			continue
		}
		s.checkTypes(u, fn)
		if !s.checkPlain(u, fn) || u.file.test || u.name == "Register" {
			continue
		}
		obj := s.plainFunc(fn)
		if obj == nil || registered[s.instanceKey(fn)] || obj.Pkg() != s.pass.Pkg && s.pass.ImportObjectFact(obj, new(isRegistered)) {
			continue
		}
		var fixes []analysis.SuggestedFix
		if k := s.instanceKey(fn); !fixed[k] {
			fixes = s.registerFix(u, fn)
			fixed[k] = true
		}
		s.report(Unregistered, fn, fixes, "%s is given to dist.%s outside a test file: register it, or the tests that get here cannot call it", types.ExprString(fn), u.name)
	}
}

// registeredHere has the keys of the functions that the package registers.
func (s *scan) registeredHere() map[string]bool {
	registered := make(map[string]bool)
	for _, u := range s.uses {
		if u.name == "Register" && len(u.call.Args) == 1 {
			if fn := u.call.Args[0]; s.plainFunc(fn) != nil {
				registered[s.instanceKey(fn)] = true
			}
		}
	}
	return registered
}

// instanceKey tells the functions that x may name apart. Each instance of a
// generic one is a function of its own.
func (s *scan) instanceKey(x ast.Expr) string {
	f := Function{Object: s.plainFunc(x)}
	for t := range s.pass.TypesInfo.Instances[calledIdent(x)].TypeArgs.Types() {
		f.TypeArgs = append(f.TypeArgs, t)
	}
	return f.key()
}

// checkRegister reports a registration that a node may not get to.
func (s *scan) checkRegister(u use) {
	if u.fn != nil && s.fromInit(u.fn) {
		return
	}
	what := "function"
	if u.name == "RegisterErrors" {
		what = "errors"
	}
	s.report(LateRegister, u.call, nil, "dist.%s outside an init function: nodes must know the %s before they are called", u.name, what)
}

// fromInit reports whether an init function of the package is fn or calls it.
func (s *scan) fromInit(fn *function) bool {
	seen := make(map[*function]bool)
	var visit func(from *function) bool
	visit = func(from *function) bool {
		if from == nil || seen[from] {
			return false
		}
		seen[from] = true
		if from == fn {
			return true
		}
		for _, e := range from.edges {
			if e.call != nil && visit(s.byObj[e.callee]) {
				return true
			}
		}
		return false
	}
	for _, from := range s.funcs {
		if from.decl.Recv == nil && from.decl.Name.Name == "init" && visit(from) {
			return true
		}
	}
	return false
}

// checkPlain reports whether fn may be a function that nodes can look up, and
// reports a finding if it is not.
func (s *scan) checkPlain(u use, fn ast.Expr) bool {
	bad := func(what string) bool {
		s.report(NotPlain, fn, nil, "%s given to dist.%s: a node can only look up package-level functions", what, u.name)
		return false
	}
	fn = ast.Unparen(fn)
	if _, ok := fn.(*ast.FuncLit); ok {
		return bad("function literal")
	}
	if sel, ok := fn.(*ast.SelectorExpr); ok {
		if selection := s.pass.TypesInfo.Selections[sel]; selection != nil && selection.Kind() != types.FieldVal {
			return bad("method value")
		}
	}
	id := calledIdent(fn)
	if id == nil {
		return true // the result of a call: nobody knows
	}
	switch obj := s.pass.TypesInfo.Uses[id].(type) {
	case *types.Var:
		if s.literals()[obj] {
			return bad("function literal " + obj.Name())
		}
	case *types.Func:
		for t := range s.pass.TypesInfo.Instances[id].TypeArgs.Types() {
			if hasTypeParam(t) {
				return bad("instance of " + obj.Name() + " that depends on a type parameter")
			}
			if u.name != "Register" && isLocal(t) {
				return bad("instance of " + obj.Name() + " for a type declared inside a function")
			}
		}
	}
	return true
}

// isLocal reports whether t is declared inside a function, where the bootstrap
// cannot name it.
func isLocal(t types.Type) bool {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		for arg := range t.TypeArgs().Types() {
			if isLocal(arg) {
				return true
			}
		}
		obj := t.Origin().Obj()
		return obj.Pkg() != nil && obj.Parent() != obj.Pkg().Scope()
	case interface{ Elem() types.Type }:
		return isLocal(t.Elem())
	}
	return false
}

// literals has the variables that only ever hold function literals.
func (s *scan) literals() map[*types.Var]bool {
	if s.lits != nil {
		return s.lits
	}
	s.lits = make(map[*types.Var]bool)
	other := make(map[*types.Var]bool)
	assign := func(lhs ast.Expr, rhs ast.Expr) {
		id, ok := ast.Unparen(lhs).(*ast.Ident)
		if !ok {
			return
		}
		v, ok := s.pass.TypesInfo.ObjectOf(id).(*types.Var)
		if !ok {
			return
		}
		if _, ok := rhs.(*ast.FuncLit); ok {
			s.lits[v] = true
		} else {
			other[v] = true
		}
	}
	for _, f := range s.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, lhs := range n.Lhs {
					if len(n.Lhs) == len(n.Rhs) {
						assign(lhs, ast.Unparen(n.Rhs[i]))
					} else {
						assign(lhs, nil)
					}
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) && len(n.Names) == len(n.Values) {
						assign(name, ast.Unparen(n.Values[i]))
					} else if len(n.Values) > 0 {
						assign(name, nil)
					}
				}
			case *ast.UnaryExpr:
				assign(n.X, nil) // &f: whoever has its address may assign to it
			case *ast.RangeStmt:
				assign(n.Value, nil)
			}
			return true
		})
	}
	for v := range other {
		delete(s.lits, v)
	}
	return s.lits
}

// registerFix adds the registration below the declaration around the call.
func (s *scan) registerFix(u use, fn ast.Expr) []analysis.SuggestedFix {
	id := calledIdent(fn)
	if u.fn == nil || id == nil {
		return nil
	}
	if s.pass.TypesInfo.Instances[id].TypeArgs != nil {
		if _, ok := ast.Unparen(fn).(*ast.IndexExpr); !ok {
			return nil // inferred from the call; there is nothing to infer it from in an init
		}
	}
	qualifier, edits, ok := s.importDist(u.file)
	if !ok {
		return nil
	}
	end := u.fn.decl.End()
	text := "\n\nfunc init() { " + qualifier + "Register(" + types.ExprString(fn) + ") }"
	return []analysis.SuggestedFix{{
		Message:   "register it in an init function",
		TextEdits: append(edits, analysis.TextEdit{Pos: end, End: end, NewText: []byte(text)}),
	}}
}

// checkTypes reports arguments and results that do not arrive as they were.
func (s *scan) checkTypes(u use, fn ast.Expr) {
	id := calledIdent(u.call.Fun)
	args := s.pass.TypesInfo.Instances[id].TypeArgs
	if args.Len() != 2 {
		return
	}
	in := fn
	if u.name != "Register" {
		in = u.call.Args[3]
	}
	s.checkCrossing("argument", in, args.At(0))
	s.checkCrossing("result", fn, args.At(1))
}
