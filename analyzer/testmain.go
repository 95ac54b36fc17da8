package analyzer

import "go/ast"

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

func (s *scan) checkTestMain()  {}
func (s *scan) checkCalls()     {}
func (s *scan) checkMisuse()    {}
func (s *scan) checkBootstrap() {}
