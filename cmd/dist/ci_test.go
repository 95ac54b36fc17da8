package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestAnnotate(t *testing.T) {
	t.Setenv("GITHUB_WORKSPACE", "")
	s := &summary{refused: []refusal{
		{pkg: "m/a", test: "TestX/100%,a:b", reason: "no room: 5% left", file: "a,b.go", line: 3},
		{pkg: "m/a", test: "TestY", skipped: true, reason: "a | b <c> `d`"},
	}}
	for i := range 2 * annotationsMost {
		s.refused = append(s.refused, refusal{pkg: "m/b", test: fmt.Sprintf("Test%d", i), reason: "x"})
	}
	var b strings.Builder
	s.annotate(&b)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, want := range []string{
		"::error file=a%2Cb.go,line=3,title=TestX/100%25%2Ca%3Ab has no cluster::TestX/100%25,a:b of m/a: no room: 5%25 left",
		"::warning title=TestY is skipped::TestY of m/a: a | b <c> `d`",
	} {
		if lines[i] != want {
			t.Errorf("line %d is\n%s\nwant\n%s", i, lines[i], want)
		}
	}
	if n := strings.Count(b.String(), "::error "); n != annotationsMost {
		t.Errorf("%d errors", n)
	}
	if md := s.markdown(); !strings.Contains(md, "| TestY | m/a | skipped | a \\| b &lt;c> 'd' |\n") {
		t.Errorf("the table is broken:\n%s", md)
	}
}
