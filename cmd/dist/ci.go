package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/distkit/dist/generator"
)

// github is the only service that reads more than the lines of its log.
const github = "GitHub Actions"

// annotationsMost is what GitHub shows of each kind for a step.
const annotationsMost = 10

// A refusal is a test that had no cluster.
type refusal struct {
	pkg, test string
	skipped   bool
	reason    string // one line
	file      string // of the requirement; "" if it is not known
	line      int
}

// annotate has GitHub show, in the files of a pull request, the tests that had
// no cluster: in the workflow commands that it looks for in a step's output.
func (s *summary) annotate(w io.Writer) {
	shown := make(map[bool]int)
	for _, r := range s.refused {
		if shown[r.skipped]++; shown[r.skipped] > annotationsMost {
			continue
		}
		kind, what := "error", "has no cluster"
		if r.skipped {
			kind, what = "warning", "is skipped"
		}
		at := ""
		if r.file != "" {
			at = fmt.Sprintf("file=%s,line=%d,", property(inWorkspace(r.file)), r.line)
		}
		fmt.Fprintf(w, "::%s %stitle=%s::%s\n", kind, at, property(r.test+" "+what), message(fmt.Sprintf("%s of %s: %s", r.test, r.pkg, r.reason)))
	}
}

// message and property are how a workflow command is escaped.
func message(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func property(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(text))
}

// inWorkspace is a file's name as the repository has it.
func inWorkspace(file string) string {
	abs, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	rel, err := filepath.Rel(os.Getenv("GITHUB_WORKSPACE"), abs)
	if err != nil || !filepath.IsLocal(rel) {
		return file
	}
	return filepath.ToSlash(rel)
}

// markdown is the summary for the page of a job.
func (s *summary) markdown() string {
	var b strings.Builder
	b.WriteString("### Distributed tests\n\n| tests on clusters | nodes started | reused | replaced | ready in (p50) | (p95) |\n|---|---|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %d | %d | %d | %d | %g ms | %g ms |\n", s.Tests, s.Started, s.Reused, s.Replaced, s.P50, s.P95)
	if len(s.refused) > 0 {
		b.WriteString("\n| without a cluster | package | | why |\n|---|---|---|---|\n")
		for _, r := range s.refused {
			outcome := "failed"
			if r.skipped {
				outcome = "skipped"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(r.test), cell(r.pkg), outcome, cell(r.reason))
		}
	}
	list := func(what string, packages []string) {
		if len(packages) > 0 {
			fmt.Fprintf(&b, "\n%s: `%s`\n", what, strings.Join(packages, "`, `"))
		}
	}
	for i, l := range s.Lost {
		if i == 0 {
			b.WriteString("\n| coverage that is lost | test |\n|---|---|\n")
		}
		fmt.Fprintf(&b, "| %s | %s |\n", cell(l.Text), cell(l.Test))
	}
	list("Cached", s.Cached)
	list("Ended early", s.Unfinished)
	list("Cached, or not built", s.Unknown)
	return b.String()
}

// cell keeps a text in its place in a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'").Replace(text)
}

// stepSummary adds the summary to the file that the service names, if it does.
func (s *summary) stepSummary() error {
	name := os.Getenv("GITHUB_STEP_SUMMARY")
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err == nil {
		_, err = f.WriteString(s.markdown())
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return fmt.Errorf("write the summary of this step: %w", err)
	}
	return nil
}

// position finds where a test's requirement is.
func position(test, path string, packages []*generator.Package) (file string, line int) {
	top, _, _ := strings.Cut(test, "/")
	for _, p := range packages {
		for _, t := range p.Tests {
			if p.Path == path && t.Name == top {
				return t.Pos.Filename, t.Pos.Line
			}
		}
	}
	return "", 0
}
