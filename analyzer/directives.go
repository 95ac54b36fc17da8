package analyzer

import (
	"go/ast"
	"go/parser"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/go/analysis"

	"github.com/distkit/dist/requirement/directive"
)

// readIgnored parses the files of other builds: a directive behind a tag
// deserves the same check.
func (s *scan) readIgnored() {
	for _, path := range s.pass.IgnoredFiles {
		if !strings.HasSuffix(path, ".go") {
			continue
		}
		src, err := s.pass.ReadFile(path)
		if err != nil {
			continue // not ours to complain about
		}
		syntax, err := parser.ParseFile(s.pass.Fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		f := s.newFile(syntax)
		s.ignored = append(s.ignored, f)
		for _, decl := range syntax.Decls {
			if decl, ok := decl.(*ast.FuncDecl); ok && !f.generated {
				fn := &function{decl: decl, file: f}
				if f.test {
					fn.kind = kindOf(decl)
				}
				s.byDecl[decl] = fn
			}
		}
	}
}

// readDirectives finds the directives in one file, gives them to the tests they
// belong to, and reports what is wrong with them.
func (s *scan) readDirectives(f *file) {
	if f.generated {
		return
	}
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			d, errs := directive.Parse(c.Slash, c.Text)
			if d == nil {
				continue
			}
			// A near miss where the directive itself would not be right is prose.
			if d.NearMiss && !f.test {
				continue
			}
			for _, e := range errs {
				s.report(Code(e.Code), span{e.Pos, e.End}, fixOf(e), "%s", e.Message)
			}
			s.place(f, group, d)
		}
	}
}

// fixOf is the fix that the parser has for a mistake.
func fixOf(e *directive.Error) []analysis.SuggestedFix {
	if e.Fix == "" {
		return nil
	}
	return replace("write "+strings.TrimSpace(e.Fix), span{e.Pos, e.End}, e.Fix)
}

// place gives d to the test, or the package, that it stands above.
func (s *scan) place(f *file, group *ast.CommentGroup, d *directive.Directive) {
	at := span{d.Pos, d.End}
	if !f.test {
		s.report(Misplaced, at, nil, "misplaced dist directive: would be right in a _test.go file, above a test or the package clause")
		return
	}
	if group.End() <= f.syntax.Package {
		switch {
		case slices.Contains(s.ignored, f):
			// The default of another build.
		case s.def != nil:
			s.reportRelated(SecondDirective, at, []analysis.RelatedInformation{{Pos: s.def.Pos, End: s.def.End, Message: "the first is here"}}, nil,
				"the package has its dist directive already, in %s", filepath.Base(s.pass.Fset.Position(s.def.Pos).Filename))
		default:
			s.def = d
		}
		return
	}
	for _, decl := range f.syntax.Decls {
		decl, ok := decl.(*ast.FuncDecl)
		if !ok || decl.Doc != group {
			continue
		}
		fn := s.byDecl[decl]
		switch {
		case fn.kind == 0:
			s.report(Misplaced, at, nil, "misplaced dist directive: %s is no test, benchmark or fuzz target", decl.Name.Name)
		case fn.directive != nil:
			s.report(SecondDirective, at, nil, "%s has its dist directive already: put all words into one line", decl.Name.Name)
		default:
			fn.directive = d
		}
		return
	}
	if d.NearMiss {
		return // one finding is enough
	}
	if next := s.testBelow(f, group); next != nil {
		to := next.Pos()
		if next.Doc != nil {
			to = next.Doc.Pos()
		}
		s.report(Misplaced, at, replace("join it to the test's comment", span{group.End(), to}, "\n"),
			"misplaced dist directive: a blank line separates it from %s", next.Name.Name)
		return
	}
	s.report(Misplaced, at, nil, "misplaced dist directive: would be right in the doc comment of a test, or above the package clause")
}

// testBelow returns the test whose declaration follows group, with nothing
// but blank lines between.
func (s *scan) testBelow(f *file, group *ast.CommentGroup) *ast.FuncDecl {
	for _, decl := range f.syntax.Decls {
		if decl.End() <= group.Pos() {
			continue
		}
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || s.byDecl[fn].kind == 0 || fn.Pos() < group.End() {
			return nil
		}
		to := fn.Pos()
		if fn.Doc != nil {
			to = fn.Doc.Pos()
		}
		for _, g := range f.syntax.Comments {
			if g.Pos() > group.Pos() && g.Pos() < to {
				return nil
			}
		}
		return fn
	}
	return nil
}

// isTestName reports whether name is that of a test, by the rule of the go
// command: TestTesting is one, Testing is not.
func isTestName(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return false
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return rest == "" || !unicode.IsLower(r)
}
