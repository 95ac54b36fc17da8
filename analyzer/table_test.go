package analyzer

import (
	"fmt"
	"strings"
	"testing"
)

func TestFindingsAreDocumented(t *testing.T) {
	golden(t, "../docs/findings.md", document())
}

// document renders the table for people.
func document() string {
	var b strings.Builder
	b.WriteString("<!-- Written from the table in analyzer/table.go: go test ./analyzer -record -->\n\n")
	b.WriteString("# Findings of distvet\n\n")
	b.WriteString("    go build -o distvet github.com/distkit/dist/cmd/distvet\n    go vet -vettool=$PWD/distvet ./...\n\n")
	b.WriteString("`go vet -vettool=$PWD/distvet -fix ./...` takes the fixes that are offered; `-fix -diff` shows them.\n\n")
	b.WriteString("| finding | |\n|---|---|\n")
	for _, f := range Findings {
		fmt.Fprintf(&b, "| [%s](#%[1]s) | %s |\n", f.Code, f.Title)
	}
	for _, f := range Findings {
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n", f.Code, f.Title, f.Text)
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
