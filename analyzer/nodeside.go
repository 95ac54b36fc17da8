package analyzer

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// nodeFunctions returns the functions of this package that are given to
// dist.Call, dist.CallAll, dist.CallNodes or dist.Register, in source order.
func (s *scan) nodeFunctions() []*function {
	if s.nodeFuncs != nil {
		return s.nodeFuncs
	}
	s.nodeFuncs = []*function{}
	s.nodeArgs = make(map[token.Pos]bool)
	for i := range s.uses {
		arg := s.uses[i].nodeFunc()
		if arg == nil {
			continue
		}
		id := calledIdent(arg)
		obj := s.plainFunc(arg)
		if obj == nil {
			continue
		}
		s.nodeArgs[id.Pos()] = true
		if fn := s.byObj[obj.Origin()]; fn != nil && fn.decl.Body != nil && !slices.Contains(s.nodeFuncs, fn) {
			s.nodeFuncs = append(s.nodeFuncs, fn)
		}
	}
	return s.nodeFuncs
}

// nodeFunc returns what u gives to nodes to run; nil if it gives nothing.
func (u *use) nodeFunc() ast.Expr {
	switch {
	case u.name == "Register" && len(u.call.Args) == 1:
		return u.call.Args[0]
	case u.calls():
		return u.call.Args[2]
	}
	return nil
}

// checkNodeFunctions checks what functions do that run on nodes.
func (s *scan) checkNodeFunctions() {
	s.checkSelf()
	for _, fn := range s.nodeFunctions() {
		for _, r := range s.reach(fn) {
			s.reportOnce(OutsideTest, r.first, "dist.Require in %s, which runs on nodes: a cluster belongs to a test, a benchmark or a fuzz target", fn.decl.Name.Name)
		}
		s.checkContext(fn)
		s.each(fn, nil, func(at *function, first *edge) {
			// What the program itself does is its own affair.
			if at != fn && !at.file.test || at.decl.Body == nil {
				return
			}
			s.checkExit(fn, at)
			s.checkTestingVar(fn, at, first)
		})
	}
}

// checkExit reports what ends the node instead of telling the test about an
// error. An exit that depends on no error may be a crash that the test wants.
func (s *scan) checkExit(fn, at *function) {
	by := ""
	if at != fn {
		by = " (by way of " + at.decl.Name.Name + ")"
	}
	ast.Inspect(at.decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if name := s.exitName(n); name != "" && name != "os.Exit" {
				s.reportOnce(ExitOnNode, n, "%s ends the node that %s runs on%s: would be right to return the error, which dist.Call returns to the test", name, fn.decl.Name.Name, by)
			}
		case *ast.IfStmt:
			if !s.asksForError(n.Cond) {
				break
			}
			for _, stmt := range n.Body.List {
				x, ok := stmt.(*ast.ExprStmt)
				if !ok {
					continue
				}
				if call, ok := x.X.(*ast.CallExpr); ok && s.exitName(call) == "os.Exit" {
					s.reportOnce(ExitOnNode, call, "os.Exit ends the node that %s runs on%s: would be right to return the error, which dist.Call returns to the test", fn.decl.Name.Name, by)
				}
			}
		}
		return true
	})
}

// exitName returns the name of the function that call ends the process with;
// "" if it does not.
func (s *scan) exitName(call *ast.CallExpr) string {
	fn, ok := typeutil.Callee(s.pass.TypesInfo, call).(*types.Func)
	if !ok || fn.Pkg() == nil {
		return ""
	}
	switch fn.Pkg().Path() + "." + fn.Name() {
	case "os.Exit":
		return "os.Exit"
	case "log.Fatal", "log.Fatalf", "log.Fatalln":
		return "log." + fn.Name()
	}
	return ""
}

// asksForError reports whether cond is err != nil, or has that for a part.
func (s *scan) asksForError(cond ast.Expr) (found bool) {
	ast.Inspect(cond, func(n ast.Node) bool {
		if x, ok := n.(*ast.BinaryExpr); ok && x.Op == token.NEQ && s.pass.TypesInfo.Types[x.Y].IsNil() {
			t := s.pass.TypesInfo.TypeOf(x.X)
			found = found || t != nil && types.Identical(t, types.Universe.Lookup("error").Type())
		}
		return !found
	})
	return found
}

// checkTestingVar reports a test that a function on a node gets at by way of a
// package variable: the node's own copy of it is nil.
func (s *scan) checkTestingVar(fn, at *function, first *edge) {
	a := s.access(at)
	for _, v := range a.vars {
		id := a.reads[v]
		if id == nil || !isTB(v.Type()) {
			continue
		}
		var pos analysis.Range = id
		by := ""
		if first != nil {
			pos, by = first, " (by way of "+at.decl.Name.Name+")"
		}
		s.reportOnce(TestOnNode, pos, "%s runs on nodes, where there is no test in %s%s: would be right to return an error", fn.decl.Name.Name, v.Name(), by)
	}
}

// checkSelf reports a dist.Self that must panic.
func (s *scan) checkSelf() {
	for _, u := range s.uses {
		if u.name != "Self" || len(u.call.Args) != 1 {
			continue
		}
		if name := s.rootContext(u.call.Args[0]); name != "" {
			s.report(NoContext, u.call.Args[0], s.contextFix(u.fn, u.call.Args[0]),
				"dist.Self panics for %s: would be right with the context that the node's function is given", name)
		}
	}
}

// rootContext returns context.Background() or context.TODO(), if x is one.
func (s *scan) rootContext(x ast.Expr) string {
	call, ok := ast.Unparen(x).(*ast.CallExpr)
	if !ok {
		return ""
	}
	fn, ok := typeutil.Callee(s.pass.TypesInfo, call).(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Pkg().Path() != "context" || fn.Name() != "Background" && fn.Name() != "TODO" {
		return ""
	}
	return "context." + fn.Name() + "()"
}

// contextFix puts the context of fn in the place of x, if it has one that
// nothing hides there.
func (s *scan) contextFix(fn *function, x ast.Expr) []analysis.SuggestedFix {
	if fn == nil || fn.obj == nil || fn.obj.Signature().Params().Len() == 0 {
		return nil
	}
	ctx := fn.obj.Signature().Params().At(0)
	if ctx.Name() == "" || ctx.Name() == "_" || !isNamed(ctx.Type(), "context", "Context") {
		return nil
	}
	if inner := s.pass.Pkg.Scope().Innermost(x.Pos()); inner != nil {
		if _, obj := inner.LookupParent(ctx.Name(), x.Pos()); obj != ctx {
			return nil
		}
	}
	return replace("use "+ctx.Name(), x, ctx.Name())
}

// checkContext reports a function on a node that goes on when the call, and the
// test, have ended.
func (s *scan) checkContext(fn *function) {
	uses := false
	var ctx *types.Var
	if sig := fn.obj.Signature(); sig.Params().Len() > 0 {
		ctx = sig.Params().At(0)
	}
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		uses = uses || ok && s.pass.TypesInfo.Uses[id] == types.Object(ctx)
		return !uses
	})
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.DeferStmt, *ast.GoStmt:
			return false
		case *ast.SelectStmt:
			if len(n.Body.List) == 0 {
				s.report(NoContext, n, nil, "%s runs on nodes and never returns: would be right to wait for the end of its context, <-ctx.Done()", fn.decl.Name.Name)
			}
		case *ast.ForStmt:
			if s.endless(n) {
				at := span{n.For, n.Body.Lbrace}
				s.report(NoContext, at, nil, "%s runs on nodes and nothing in this loop ends it: would be right to return when its context is done", fn.decl.Name.Name)
			}
		case *ast.CallExpr:
			if uses || s.distFunc(n) != "" {
				break
			}
			for _, arg := range n.Args {
				if name := s.rootContext(arg); name != "" {
					s.report(NoContext, arg, s.contextFix(fn, arg),
						"%s runs on nodes, ignores its context and passes %s on: would be right with its own, which ends with the call, or that of dist.Self, which ends with the lease", fn.decl.Name.Name, name)
				}
			}
		}
		return true
	})
}
