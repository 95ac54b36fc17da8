package analyzer

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// checkRequireCalls reports requirement calls where none can be.
func (s *scan) checkRequireCalls() {
	s.checkInitializers()
	for _, fn := range s.funcs {
		if fn.decl.Body == nil || fn.edges == nil {
			continue
		}
		switch {
		case isInit(fn):
			s.checkInit(fn)
		case isNoTest(fn):
			for _, r := range s.reach(fn) {
				s.report(OutsideTest, r.first, nil, "dist.Require in %s: a cluster belongs to a test, a benchmark or a fuzz target", fn.decl.Name.Name)
			}
		}
		s.checkParallel(fn.decl.Body)
		ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				s.checkParallel(n.Body)
			case *ast.CallExpr:
				s.checkFuzz(n)
			}
			return true
		})
	}
}

// isNoTest reports whether the runtime, or the go command, calls fn for another
// purpose than to test.
func isNoTest(fn *function) bool {
	if fn.decl.Recv != nil {
		return false
	}
	name, params := fn.decl.Name.Name, fn.decl.Type.Params.NumFields()
	return fn.file.test && (isTestMain(fn.decl) || isTestName(name, "Example") && params == 0)
}

func isInit(fn *function) bool { return fn.decl.Recv == nil && fn.decl.Name.Name == "init" }

// checkInit reports requirement calls that init makes. Functions that it names,
// or has as literals, are registered there, to be run by tests.
func (s *scan) checkInit(fn *function) {
	for _, e := range s.callsOf(fn) {
		if s.atOnce(e, map[*function]bool{fn: true}) {
			s.report(OutsideTest, e, nil, "dist.Require in %s: a cluster belongs to a test, a benchmark or a fuzz target", fn.decl.Name.Name)
		}
	}
}

// atOnce reports whether e, which is a call, gets to a requirement call before it
// returns, by calls alone, and by none of the functions in seen.
func (s *scan) atOnce(e *edge, seen map[*function]bool) bool {
	if e.need != nil {
		return true
	}
	next := s.byObj[e.callee]
	if next == nil {
		fact := s.needsOf(e.callee)
		return fact != nil && !fact.Later
	}
	if seen[next] || !s.leads(next) {
		return false
	}
	seen[next] = true
	return slices.ContainsFunc(s.callsOf(next), func(e *edge) bool { return s.atOnce(e, seen) })
}

// callsOf returns the edges of fn that are calls, and run when fn does: not those
// in function literals, unless they are called where they stand.
func (s *scan) callsOf(fn *function) []*edge {
	if fn.decl.Body == nil {
		return nil
	}
	var later []span
	called := make(map[ast.Expr]bool)
	ast.Inspect(fn.decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			called[ast.Unparen(n.Fun)] = true
		case *ast.FuncLit:
			if !called[n] {
				later = append(later, span{n.Pos(), n.End()})
			}
		}
		return true
	})
	var calls []*edge
	for i := range fn.edges {
		e := &fn.edges[i]
		if e.call != nil && !slices.ContainsFunc(later, func(l span) bool { return l.pos <= e.pos && e.pos < l.end }) {
			calls = append(calls, e)
		}
	}
	return calls
}

// checkInitializers reports requirement calls for the value of a package's
// variable. Function literals run later, and elsewhere, unless they are called
// where they stand.
func (s *scan) checkInitializers() {
	for _, f := range s.files {
		for _, decl := range f.syntax.Decls {
			decl, ok := decl.(*ast.GenDecl)
			if !ok || decl.Tok != token.VAR || f.generated {
				continue
			}
			called := make(map[ast.Expr]bool)
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit:
					return called[n]
				case *ast.CallExpr:
					called[ast.Unparen(n.Fun)] = true
					if s.requiresAtOnce(n) {
						s.report(OutsideTest, n, nil, "dist.Require for a package variable: a cluster belongs to a test, a benchmark or a fuzz target")
						return false
					}
				}
				return true
			})
		}
	}
}

// requiresAtOnce reports whether call gets to a requirement call before it
// returns.
func (s *scan) requiresAtOnce(call *ast.CallExpr) bool {
	return s.getsThere(call, func(fn *types.Func) bool {
		return s.atOnce(&edge{call: call, callee: fn.Origin()}, make(map[*function]bool))
	})
}

// requires reports whether call gets to a requirement call.
func (s *scan) requires(call *ast.CallExpr) bool { return s.getsThere(call, s.funcRequires) }

// getsThere reports whether call is a requirement call, or one of a function of
// which by says so.
func (s *scan) getsThere(call *ast.CallExpr, by func(*types.Func) bool) bool {
	if s.distFunc(call) == "Require" {
		return true
	}
	id := calledIdent(call.Fun)
	if id == nil {
		return false
	}
	fn, ok := s.pass.TypesInfo.Uses[id].(*types.Func)
	return ok && by(fn)
}

func (s *scan) funcRequires(fn *types.Func) bool {
	fn = fn.Origin()
	if own := s.byObj[fn]; own != nil {
		return len(s.reach(own)) > 0
	}
	return fn.Pkg() != nil && fn.Pkg() != s.pass.Pkg && s.pass.ImportObjectFact(fn, new(requires))
}

// checkParallel reports requirement calls for the t of a later t.Parallel in
// the same function: the cluster would be held while the test is paused.
func (s *scan) checkParallel(body *ast.BlockStmt) {
	required := make(map[types.Object]*ast.CallExpr)
	ast.Inspect(body, func(n ast.Node) bool {
		if _, ok := n.(*ast.FuncLit); ok {
			return false // checked by itself
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Parallel" {
			if t := s.tbOf(sel.X); t != nil && required[t] != nil {
				s.report(BeforeParallel, required[t], s.moveUp(body, required[t], call),
					"dist.Require before %s.Parallel holds a cluster while the test is paused: call it after", t.Name())
				delete(required, t)
			}
			return true
		}
		if len(call.Args) == 0 || !s.requires(call) {
			return true
		}
		for _, arg := range call.Args {
			if t := s.tbOf(arg); t != nil && required[t] == nil {
				required[t] = call
			}
		}
		return true
	})
}

// tbOf returns the variable x names, if it is of a type of package testing.
func (s *scan) tbOf(x ast.Expr) types.Object {
	if id, ok := ast.Unparen(x).(*ast.Ident); ok {
		if obj := s.pass.TypesInfo.Uses[id]; obj != nil && isTB(obj.Type()) {
			return obj
		}
	}
	return nil
}

// moveUp moves the statement of the call parallel above that of the call
// require, if both are in the outermost list of body.
func (s *scan) moveUp(body *ast.BlockStmt, require, parallel *ast.CallExpr) []analysis.SuggestedFix {
	var to, from ast.Stmt
	for _, stmt := range body.List {
		if stmt.Pos() <= require.Pos() && require.End() <= stmt.End() {
			to = stmt
		}
		if x, ok := stmt.(*ast.ExprStmt); ok && x.X == parallel {
			from = stmt
		}
	}
	if to == nil || from == nil || to == from {
		return nil
	}
	text := types.ExprString(parallel)
	return []analysis.SuggestedFix{{
		Message: "call " + text + " first",
		TextEdits: []analysis.TextEdit{
			{Pos: to.Pos(), End: to.Pos(), NewText: []byte(text + "\n\t")},
			s.deletion(from),
		},
	}}
}

// deletion removes stmt with its lines, where it has them to itself.
func (s *scan) deletion(stmt ast.Stmt) analysis.TextEdit {
	edit := analysis.TextEdit{Pos: stmt.Pos(), End: stmt.End()}
	tf := s.pass.Fset.File(stmt.Pos())
	end := tf.Line(stmt.End())
	if end == tf.LineCount() {
		return edit
	}
	line := analysis.TextEdit{Pos: tf.LineStart(tf.Line(stmt.Pos())), End: tf.LineStart(end + 1)}
	src, err := s.pass.ReadFile(tf.Name())
	if err != nil || tf.Offset(line.End) > len(src) {
		return edit
	}
	around := string(src[tf.Offset(line.Pos):tf.Offset(edit.Pos)]) + string(src[tf.Offset(edit.End):tf.Offset(line.End)])
	if strings.TrimSpace(around) != "" {
		return edit
	}
	return line
}

// checkFuzz reports requirement calls inside the function that f.Fuzz runs for
// every input.
func (s *scan) checkFuzz(call *ast.CallExpr) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Fuzz" || len(call.Args) != 1 {
		return
	}
	fn, ok := s.pass.TypesInfo.Uses[sel.Sel].(*types.Func)
	if !ok || fn.FullName() != "(*testing.F).Fuzz" {
		return
	}
	const text = "dist.Require inside f.Fuzz would be called for every input: would be right in the fuzz target, before f.Fuzz"
	switch arg := ast.Unparen(call.Args[0]).(type) {
	case *ast.FuncLit:
		ast.Inspect(arg.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && s.requires(call) {
				s.report(InFuzz, call, nil, text)
			}
			return true
		})
	default:
		if id := calledIdent(arg); id != nil {
			if fn, ok := s.pass.TypesInfo.Uses[id].(*types.Func); ok && s.funcRequires(fn) {
				s.report(InFuzz, arg, nil, text)
			}
		}
	}
}
