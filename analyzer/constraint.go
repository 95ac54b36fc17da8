package analyzer

import (
	"go/ast"
	"go/build/constraint"
	"strings"
)

// fileConstraint returns the condition under which the go command compiles a
// file, as its //go:build line and its name say it; "" for always, and for what
// only stands behind the tag that hides bootstraps from distgen.
func fileConstraint(name string, f *ast.File) string {
	var x constraint.Expr
	and := func(y constraint.Expr) {
		if x == nil {
			x = y
		} else {
			x = &constraint.AndExpr{X: x, Y: y}
		}
	}
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if !constraint.IsGoBuild(c.Text) {
				continue
			}
			if y, err := constraint.Parse(c.Text); err == nil && y.String() != "!distgen" {
				and(y)
			}
		}
	}
	for _, tag := range nameTags(name) {
		and(&constraint.TagExpr{Tag: tag})
	}
	if x == nil {
		return ""
	}
	return x.String()
}

// nameTags returns the tags in a file's name, as goodOSArchFile of go/build
// finds them: name_$(GOOS).go, name_$(GOARCH).go, name_$(GOOS)_$(GOARCH).go,
// each with or without _test.
func nameTags(name string) []string {
	name, _, _ = strings.Cut(name, ".")
	_, name, ok := strings.Cut(name, "_")
	if !ok {
		return nil // "linux.go" is for every system
	}
	parts := strings.Split(name, "_")
	if n := len(parts); parts[n-1] == "test" {
		parts = parts[:n-1]
	}
	n := len(parts)
	switch {
	case n >= 2 && knownOS[parts[n-2]] && knownArch[parts[n-1]]:
		return parts[n-2:]
	case n >= 1 && (knownOS[parts[n-1]] || knownArch[parts[n-1]]):
		return parts[n-1:]
	}
	return nil
}

// The lists of internal/syslist in the Go tree: past, present and future
// values, which is why they do not grow.
var (
	knownOS = set("aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos")

	knownArch = set("386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le" +
		" ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm")
)

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}
