package analyzer

import (
	"fmt"
	"strings"
	"testing"
)

func TestFindingsAreDocumented(t *testing.T) {
	golden(t, "../docs/findings.md", document())
}

const usage = "| | |\n|---|---|\n" +
	"| `go vet -vettool=\"$PWD/distvet\" ./...` | reports, and checks again only what has changed |\n" +
	"| `go vet -vettool=\"$PWD/distvet\" -json ./...` | reports as JSON, by package; the category is the finding's name |\n" +
	"| `go vet -vettool=\"$PWD/distvet\" -fix -diff ./...` | shows the fixes that are offered; without `-diff`, takes them |\n" +
	"| `go fix -fixtool=\"$PWD/distvet\" -diff ./...` | the same, from `go fix` |\n" +
	"| `distvet ./...` | reports, without `go vet`; `-json`, `-fix` and `-diff` work here, too |\n\n" +
	"## Where a finding is not wanted\n\n" +
	"No comment silences one. Where distvet cannot know, it says nothing; so the code itself can say what it means: each finding tells below when it is reported, " +
	"and what is not, such as an `os.Exit` that no error is the reason for. A function value, a variable or an interface in between is where distvet stops following.\n\n" +
	"Each finding has a flag of its name, with the analyzer's before it, to switch it off for a run:\n\n" +
	"    go vet -vettool=\"$PWD/distvet\" -dist.exitonnode=false ./...\n\n" +
	"`-dist.bootstrap=false` switches off both findings about generated files. `distgen` knows no such flags: what leaves in doubt what a test needs stops it in any case.\n\n" +
	"## Findings\n\n"

// document renders the table for people.
func document() string {
	var b strings.Builder
	b.WriteString("<!-- Written from the table in analyzer/table.go: go test ./analyzer -record -->\n\n")
	b.WriteString("# Findings of distvet\n\n")
	b.WriteString("    go build -o distvet github.com/distkit/dist/cmd/distvet\n    go vet -vettool=\"$PWD/distvet\" ./...\n\n")
	b.WriteString(usage)
	b.WriteString("| finding | |\n|---|---|\n")
	for _, f := range Findings {
		fmt.Fprintf(&b, "| [%s](#%[1]s) | %s |\n", f.Code, f.Title)
	}
	for _, f := range Findings {
		fmt.Fprintf(&b, "\n### %s\n\n**%s.** %s\n\n", f.Code, f.Title, f.Text)
		language := "go"
		if strings.HasPrefix(f.Bad, "$ ") {
			language = "console"
		}
		fmt.Fprintf(&b, "```%s\n%s\n```\n\nInstead:\n\n```%s\n%s\n```\n", language, f.Bad, language, f.Good)
	}
	return b.String()
}

func TestFindingsAreComplete(t *testing.T) {
	seen := make(map[Code]bool)
	for _, f := range Findings {
		if seen[f.Code] {
			t.Errorf("%s is in the table twice", f.Code)
		}
		seen[f.Code] = true
		if f.Title == "" || f.Text == "" || f.Bad == "" || f.Good == "" {
			t.Errorf("%s lacks a part", f.Code)
		}
		if got, ok := Lookup(string(f.Code)); !ok || got.Title != f.Title {
			t.Errorf("Lookup(%q) = %v, %v", f.Code, got, ok)
		}
	}
	if _, ok := Lookup("nonsense"); ok {
		t.Error("Lookup found what is not there")
	}
}
