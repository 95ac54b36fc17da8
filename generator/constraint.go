package generator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/build"
	"go/build/constraint"
	"io"
	"path/filepath"
	"regexp"
	"strings"
)

// A guard is the build constraint that a bootstrap stands behind besides the
// tag that hides it from distgen. The zero guard is none.
type guard struct {
	expr constraint.Expr
}

// parseGuard reads a constraint expression as the analyzer gives it.
func parseGuard(s string) (guard, error) {
	if s == "" {
		return guard{}, nil
	}
	x, err := constraint.Parse("//go:build " + s)
	if err != nil {
		return guard{}, fmt.Errorf("build constraint %q: %w", s, err)
	}
	return guard{x}, nil
}

// key tells guards apart, and sorts them.
func (g guard) key() string {
	if g.expr == nil {
		return ""
	}
	return g.expr.String()
}

// buildLine returns the bootstrap's first line.
func (g guard) buildLine() string {
	var x constraint.Expr = &constraint.NotExpr{X: &constraint.TagExpr{Tag: generateTag}}
	if g.expr != nil {
		x = &constraint.AndExpr{X: x, Y: g.expr}
	}
	return "//go:build " + x.String()
}

// plainRE matches the constraints whose words say all there is to say. Other
// ones could share their words.
var plainRE = regexp.MustCompile(`^!?[a-z0-9]+( (&&|\|\|) !?[a-z0-9]+)*$`)

// fileName returns the name of the bootstrap behind g. It ends in a word that
// is no operating system and no architecture: the go command would take that
// for a further constraint.
func (g guard) fileName(external bool) string {
	name := "dist_gen_"
	if external {
		name += "x_"
	}
	if g.expr == nil {
		return name + "test.go"
	}
	key := g.key()
	words := strings.NewReplacer("&&", "and", "||", "or", "!", "not_", " ", "_").Replace(key)
	if len(words) > 48 || !plainRE.MatchString(key) {
		sum := sha256.Sum256([]byte(key))
		words = "tags_" + hex.EncodeToString(sum[:4])
	}
	return name + words + "_only_test.go"
}

// fileConstrained reports whether a file is in some builds only, by its name or
// by a constraint in it.
func fileConstrained(path string, f *ast.File) bool {
	for _, group := range f.Comments {
		if group.Pos() >= f.Package {
			break
		}
		for _, c := range group.List {
			if constraint.IsGoBuild(c.Text) || constraint.IsPlusBuild(c.Text) {
				return true
			}
		}
	}
	nowhere := noSystem()
	return !matchFile(&nowhere, path, []byte("package p\n"))
}

// noSystem describes a build for a system that nobody has heard of: no file that
// a suffix of its name constrains belongs to it.
func noSystem() build.Context {
	c := build.Default
	c.GOOS, c.GOARCH = "none", "none"
	return c
}

// matchFile reports whether a file of that name and content belongs to the
// build that ctxt describes.
func matchFile(ctxt *build.Context, path string, content []byte) bool {
	c := *ctxt
	c.OpenFile = func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	ok, err := c.MatchFile(filepath.Split(path))
	return err != nil || ok
}
