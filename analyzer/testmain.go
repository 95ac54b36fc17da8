package analyzer

import (
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// findTestMain looks for a TestMain that distgen did not write.
func (s *scan) findTestMain() {
	for _, fn := range s.funcs {
		if fn.file.test && isTestMain(fn.decl) {
			s.result.TestMain = fn.decl.Name.Pos()
			s.result.Plan.OwnMain = true
		}
	}
}

// isTestMain goes by syntax, as the go command does.
func isTestMain(decl *ast.FuncDecl) bool {
	params := decl.Type.Params.List
	if decl.Name.Name != "TestMain" || decl.Recv != nil || len(params) != 1 {
		return false
	}
	ptr, ok := params[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	switch x := ptr.X.(type) {
	case *ast.Ident:
		return x.Name == "M"
	case *ast.SelectorExpr:
		return x.Sel.Name == "M"
	}
	return false
}

// checkTestMain sees to it that a process that is to be a node becomes one
// before anything else happens in the author's TestMain.
func (s *scan) checkTestMain() {
	for _, fn := range s.funcs {
		if !fn.file.test || !isTestMain(fn.decl) || fn.decl.Body == nil {
			continue
		}
		state := s.mainState(fn)
		if state == mainFirst {
			continue
		}
		// The external test package may need it even if this one does not.
		s.pass.ExportObjectFact(fn.obj, new(undiverted))
		switch {
		case state == mainLate:
			first := fn.decl.Body.List[0]
			s.reportRelated(LateMain, fn.decl.Name, []analysis.RelatedInformation{{Pos: first.Pos(), End: first.End(), Message: "this runs in every node"}}, nil,
				"TestMain runs statements before dist.Main, in every node too: put them into the Run method of what dist.Main is given")
		case s.result.UsesDist:
			s.report(NoMain, fn.decl.Name, s.mainFix(fn),
				"TestMain does not call dist.Main: its first statement would be os.Exit(dist.Main(%s))", paramName(fn.decl))
		}
	}
	s.checkOtherMain()
}

// checkOtherMain looks at the TestMain of the package that this one is the
// external test package of: one test binary, one TestMain.
func (s *scan) checkOtherMain() {
	path, external := strings.CutSuffix(s.pass.Pkg.Path(), "_test")
	if !external || !s.result.UsesDist {
		return
	}
	for _, p := range s.pass.Pkg.Imports() {
		if p.Path() != path {
			continue
		}
		obj, ok := p.Scope().Lookup("TestMain").(*types.Func)
		if ok && s.pass.ImportObjectFact(obj, new(undiverted)) {
			s.report(NoMain, s.firstFile().syntax.Name, nil, "TestMain of package %s does not begin with dist.Main, which the tests of %s need", p.Name(), s.pass.Pkg.Name())
		}
	}
}

// A mainState is how a function gets to dist.Main.
type mainState int

const (
	mainNever mainState = iota
	mainLate            // after other statements
	mainFirst           // in its first statement
)

// mainState follows calls of functions of the package.
func (s *scan) mainState(fn *function) mainState {
	seen := make(map[*function]bool)
	var visit func(fn *function) mainState
	visit = func(fn *function) mainState {
		if fn == nil || seen[fn] || fn.decl.Body == nil {
			return mainNever
		}
		seen[fn] = true
		state := mainNever
		for i, stmt := range fn.decl.Body.List {
			found := mainNever
			ast.Inspect(stmt, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if s.distFunc(call) == "Main" {
					found = mainFirst
				} else if callee := s.plainFunc(call.Fun); callee != nil && isCallOf(call, s.pass.TypesInfo) {
					state := visit(s.byObj[callee.Origin()])
					if callee.Pkg() != s.pass.Pkg {
						state = s.foreignMain(callee.Origin())
					}
					found = max(found, state)
				}
				return true
			})
			if found != mainNever && i > 0 {
				found = mainLate
			}
			state = max(state, found)
		}
		return state
	}
	return visit(fn)
}

// exportMains tells packages that import this one which of its functions get to
// dist.Main.
func (s *scan) exportMains() {
	if isDistPath(s.pass.Pkg.Path()) {
		return
	}
	for _, fn := range s.funcs {
		if fn.file.test || fn.obj == nil || fn.decl.Recv != nil || !fn.obj.Exported() {
			continue
		}
		if state := s.mainState(fn); state != mainNever {
			s.pass.ExportObjectFact(fn.obj, &diverts{Late: state == mainLate})
		}
	}
}

func (s *scan) foreignMain(fn *types.Func) mainState {
	var fact diverts
	switch {
	case fn.Pkg() == nil || !s.pass.ImportObjectFact(fn, &fact):
		return mainNever
	case fact.Late:
		return mainLate
	}
	return mainFirst
}

func isCallOf(call *ast.CallExpr, info *types.Info) bool {
	return info.Types[call.Fun].IsValue()
}

// mainFix puts dist.Main in the place of the m.Run of the first statement.
func (s *scan) mainFix(fn *function) []analysis.SuggestedFix {
	if len(fn.decl.Body.List) == 0 {
		return nil
	}
	m := s.pass.TypesInfo.Defs[paramIdent(fn.decl)]
	var run *ast.CallExpr
	ast.Inspect(fn.decl.Body.List[0], func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Run" {
				if id, ok := sel.X.(*ast.Ident); ok && m != nil && s.pass.TypesInfo.Uses[id] == m {
					run = call
				}
			}
		}
		return true
	})
	if run == nil {
		return nil
	}
	name, edits, ok := s.importDist(fn.file)
	if !ok {
		return nil
	}
	edits = append(edits, analysis.TextEdit{Pos: run.Pos(), End: run.End(), NewText: []byte(name + "Main(" + m.Name() + ")")})
	return []analysis.SuggestedFix{{Message: "call dist.Main", TextEdits: edits}}
}

func paramIdent(decl *ast.FuncDecl) *ast.Ident {
	if names := decl.Type.Params.List[0].Names; len(names) == 1 {
		return names[0]
	}
	return nil
}

func paramName(decl *ast.FuncDecl) string {
	if id := paramIdent(decl); id != nil && id.Name != "_" {
		return id.Name
	}
	return "m"
}

// importDist returns how f qualifies the names of package dist, and the edits
// that make it do so.
func (s *scan) importDist(f *file) (qualifier string, edits []analysis.TextEdit, ok bool) {
	var last *ast.ImportSpec
	for _, spec := range f.syntax.Imports {
		last = spec
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !isDistPath(path) {
			continue
		}
		switch {
		case spec.Name == nil:
			return "dist.", nil, true
		case spec.Name.Name == ".":
			return "", nil, true
		case spec.Name.Name != "_":
			return spec.Name.Name + ".", nil, true
		}
	}
	if s.pass.Pkg.Scope().Lookup("dist") != nil || s.pass.TypesInfo.Scopes[f.syntax].Lookup("dist") != nil {
		return "", nil, false
	}
	insert := func(pos token.Pos, text string) (string, []analysis.TextEdit, bool) {
		return "dist.", []analysis.TextEdit{{Pos: pos, End: pos, NewText: []byte(text)}}, true
	}
	if last == nil {
		return insert(f.syntax.Name.End(), "\n\nimport "+strconv.Quote(distPath))
	}
	for _, decl := range f.syntax.Decls {
		if decl, ok := decl.(*ast.GenDecl); ok && decl.Tok == token.IMPORT && decl.Pos() <= last.Pos() && last.Pos() < decl.End() {
			if decl.Rparen.IsValid() {
				return insert(last.End(), "\n\n\t"+strconv.Quote(distPath))
			}
			return insert(decl.End(), "\nimport "+strconv.Quote(distPath))
		}
	}
	return "", nil, false
}
