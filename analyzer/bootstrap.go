package analyzer

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"

	"golang.org/x/tools/go/analysis"
)

// checkBootstrap reports generated files that are missing or out of date. Where
// they are hidden, because distgen itself is at work, it has no opinion.
func (s *scan) checkBootstrap() {
	for _, f := range s.ignored {
		if f.generated && f.constraint == "" {
			return
		}
	}
	var written []*file
	for _, f := range s.files {
		if f.generated && f.constraint == "" {
			written = append(written, f)
		}
	}
	r := s.result
	needed := r.UsesDist && (len(r.Tests) > 0 || len(r.Functions) > 0 || s.requiresInTests())
	if len(written) == 0 {
		if needed {
			s.report(NoBootstrap, s.firstFile().syntax.Name, nil,
				"package %s has tests that need clusters and no generated bootstrap: run go generate, with //go:generate go tool distgen in one of its files", s.pass.Pkg.Name())
		}
		return
	}
	at, digest := planDigest(written)
	switch {
	case !r.UsesDist && slices.ContainsFunc(s.ignored, func(f *file) bool { return f.generated }):
		// Other builds need it.
	case !r.UsesDist:
		s.report(StaleBootstrap, at, nil, "stale bootstrap: nothing in package %s needs it any more: run go generate", s.pass.Pkg.Name())
	case digest != r.Plan.Digest:
		s.report(StaleBootstrap, at, nil, "stale bootstrap: the tests of package %s have changed since distgen wrote it: run go generate", s.pass.Pkg.Name())
	}
}

// planDigest finds the digest in the plan's literal. Without one, the position
// is that of the package clause.
func planDigest(written []*file) (at analysis.Range, digest string) {
	at = written[0].syntax.Name
	for _, f := range written {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			kv, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			key, ok := kv.Key.(*ast.Ident)
			lit, isLit := kv.Value.(*ast.BasicLit)
			if ok && isLit && key.Name == "Digest" && lit.Kind == token.STRING {
				at = lit
				digest, _ = strconv.Unquote(lit.Value)
			}
			return true
		})
	}
	return at, digest
}

func (s *scan) requiresInTests() bool {
	for _, u := range s.uses {
		if u.file.test && u.name == "Require" {
			return true
		}
	}
	return false
}

// firstFile is the file where the package first has to do with dist: of its
// first test, else of its first node function, else of its first call of dist.
func (s *scan) firstFile() *file {
	var pos token.Pos
	switch r := s.result; {
	case len(r.Tests) > 0:
		pos = r.Tests[0].Pos
	case len(r.Functions) > 0:
		pos = r.Functions[0].Pos
	}
	if f := s.fileOf(pos); f != nil {
		return f
	}
	for _, u := range s.uses {
		if u.file.test {
			return u.file
		}
	}
	return s.files[0]
}
