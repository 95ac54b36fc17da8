package diagnostics

import (
	"regexp"
	"strings"
	"testing"
)

// TestTable holds the table to what the rest of the package relies on.
func TestTable(t *testing.T) {
	shape := regexp.MustCompile(`^DIST-[A-Z]+(-[A-Z]+)*$`)
	seen := make(map[Code]bool)
	for _, r := range table {
		t.Run(string(r.code), func(t *testing.T) {
			if !shape.MatchString(string(r.code)) || seen[r.code] {
				t.Errorf("code %q is malformed or used twice", r.code)
			}
			seen[r.code] = true
			for what, text := range map[string]string{"title": r.title, "explanation": r.explain, "evidence": r.evidence} {
				if text == "" {
					t.Errorf("no %s", what)
				}
			}
			if strings.Contains(r.title, "{") {
				t.Errorf("title %q has facts: it is what is left when none is known", r.title)
			}
			if r.skip && (r.retry > 0 || r.reduce) {
				t.Error("a skip is not tried again")
			}
			// With nothing known there is still a cause, and something to do.
			for _, goos := range []string{"linux", "darwin", "windows", "freebsd"} {
				d := Diagnose(Failure{Code: r.code, OS: goos})
				if d.Code != r.code {
					t.Fatalf("Failure.Code %s gives %s", r.code, d.Code)
				}
				if d.Cause == "" {
					t.Errorf("%s: no cause when nothing is known", goos)
				}
				if len(d.Remedies) == 0 {
					t.Errorf("%s: no remedy when nothing is known", goos)
				}
				for _, remedy := range d.Remedies {
					if len(remedy) < 10 || strings.Contains(remedy, "{if-") {
						t.Errorf("%s: remedy %q", goos, remedy)
					}
				}
			}
		})
	}
}
