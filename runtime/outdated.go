package runtime

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/requirement"
)

// outdated says how a test's directive, as it stands in the source, differs from
// what the bootstrap has; nil if it does not, or there is no source to look at.
// Without it a test whose size was changed would go on to run, and pass, on the
// nodes it had before: Go knows that the test is another, and not that the
// bootstrap should be.
//
// Only what the directive names is compared, since calls may add to it, and only
// one in the file that asks for the cluster is found.
func (s *session) outdated(test requirement.Test, at string) error {
	file := filepath.Join(s.dir, filepath.Base(at[:max(strings.LastIndexByte(at, ':'), 0)]))
	if s.directives == nil {
		s.directives = make(map[string]map[string]directive)
	}
	found, ok := s.directives[file]
	if !ok {
		found = directives(readUnnoticed(file))
		s.directives[file] = found
	}
	d, ok := found[test.Name]
	if !ok {
		return nil
	}
	word := differs(d.words, test.Requirement)
	if word == "" || !s.generatedHere() {
		return nil
	}
	has := test.Requirement.String()
	if has == "" {
		has = "none of its words"
	}
	return fmt.Errorf("%s:%d says %s, and the bootstrap, which was generated before, has %s", filepath.Base(file), d.line, word, has)
}

// generatedHere reports whether the directory has the bootstrap that this binary
// was built with: another one's, an overlay's or somebody else's source says
// nothing of it.
func (s *session) generatedHere() bool {
	for _, name := range []string{"dist_gen_test.go", "dist_gen_x_test.go"} {
		b := readUnnoticed(filepath.Join(s.dir, name))
		if slices.ContainsFunc(s.plans, func(p requirement.Plan) bool {
			return p.Digest != "" && bytes.Contains(b, []byte(`"`+p.Digest+`"`))
		}) {
			return true
		}
	}
	return false
}

// A directive is that of one test, as it is written.
type directive struct {
	words []string
	line  int
}

// directives finds those of the tests in a file. What is not written as it should
// be is none, and for distvet to tell; nor is there one of a test that seems to be
// there twice, as in a string that is Go.
func directives(source []byte) map[string]directive {
	found := make(map[string]directive)
	seen := make(map[string]bool)
	var d *directive
	n := 0
	for line := range bytes.Lines(source) {
		n++
		text := strings.TrimRight(string(line), "\r\n")
		words, ok := strings.CutPrefix(text, "//dist:")
		switch {
		case ok:
			words, _, _ = strings.Cut(words, "//")
			d = &directive{strings.Fields(words), n}
		case strings.HasPrefix(text, "//"):
		default:
			if rest, ok := strings.CutPrefix(text, "func "); ok {
				name, _, _ := strings.Cut(rest, "(")
				delete(found, name)
				if d != nil && !seen[name] {
					found[name] = *d
				}
				seen[name] = true
			}
			d = nil
		}
	}
	return found
}

// differs returns the first word of a directive that a requirement does not have;
// "" if it has all of them.
func differs(words []string, r requirement.Requirement) string {
	has := make(map[string]string)
	for _, w := range strings.Fields(r.String()) {
		name, value, _ := strings.Cut(w, "=")
		has[name] = value
	}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		known, ok := has[name]
		same := ok && known == value
		switch name {
		case requirement.WordNodes, requirement.WordMin, requirement.WordProgram,
			requirement.WordReuse, requirement.WordShared, requirement.WordOptional:
		case requirement.WordPorts:
			same = ok && slices.Equal(slices.Sorted(strings.SplitSeq(value, ",")), slices.Sorted(strings.SplitSeq(known, ",")))
		case requirement.WordTimeout:
			d, err := time.ParseDuration(value)
			same = err == nil && d == r.Timeout
		default:
			same = true // a slip of the pen
		}
		if !same {
			return w
		}
	}
	return ""
}
