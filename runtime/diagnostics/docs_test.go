package diagnostics

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/diagnoses.md from the table")

// TestDocs compares docs/diagnoses.md with the table it is drawn from.
func TestDocs(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "diagnoses.md")
	want := docs()
	if *update {
		if err := os.WriteFile(file, want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/diagnoses.md is not what the table says: go test ./runtime/diagnostics -run TestDocs -update")
	}
}

const preamble = `<!-- Generated from runtime/diagnostics/table.go. DO NOT EDIT: go test ./runtime/diagnostics -run TestDocs -update -->

# Diagnoses

When a cluster cannot be had, or a node is lost, dist says so in one message: what could not be done and the code of the
diagnosis, then the cause, the evidence, what to do, and what was done instead.

` + "```" + `
%s
` + "```" + `

Several nodes that fail for one cause are one message, and what keeps many tests of a package from having a cluster is
told whole by the first: the others name the code, the cause and that test. [When something goes wrong](failures.md) says
what else is told, what is kept, and where.

Below is every diagnosis by its code. Words in capitals in a cause or a remedy (PATH, ADDRESS, …) stand for what the message fills in.
A remedy that is for one operating system is shown only there.

As JSON (in reports, and wherever ` + "`-json`" + ` is given) a diagnosis is an object with these fields; they are stable:

| field | |
|---|---|
| ` + "`code`" + ` | as below |
| ` + "`title`" + ` | the heading of its section below |
| ` + "`problem`" + ` | what could not be done |
| ` + "`cause`" + ` | why, as far as the evidence shows |
| ` + "`evidence`" + ` | what was measured: strings, one fact each; lines of a node's log begin with ` + "`| `" + ` |
| ` + "`remedies`" + ` | what to do, most likely first: strings |
| ` + "`phase`" + ` | where in the life of a cluster: ` + "`configuration`, `bootstrap`, `limits`, `prepare`, `exec`, `handshake`, `call`, `stop`" + ` |
| ` + "`fallback`" + ` | what was done instead, if anything was |
| ` + "`retry`" + ` | whether the cause can pass by itself |
| ` + "`retry_after`" + `, ` + "`retry_after_ns`" + ` | when a retry makes sense: as text (` + "`100ms`" + `) and in nanoseconds; absent if it does not |
| ` + "`reduce`" + ` | whether fewer nodes may do |
| ` + "`skip`" + ` | whether nothing went wrong and the test is to be skipped |
| ` + "`error`" + ` | what the operating system or the layer below said |
| ` + "`more`" + ` | the section below |

| code | |
|---|---|
`

// docs draws the documentation from the table.
func docs() []byte {
	var b bytes.Buffer
	example := Diagnose(Failure{
		Phase: PhaseHandshake, Op: "start 3 nodes for TestLeader", Node: "node-2",
		Exit: &Exit{Code: 2}, Elapsed: 4e6, OS: "linux",
		Log: []string{"panic: runtime error: index out of range [5] with length 0", "", "goroutine 1 [running]:", "example.com/raft.init.0()", "\t/src/raft/config_test.go:17 +0x18"},
	})
	fmt.Fprintf(&b, preamble, example.Error())
	for _, r := range table() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", r.code, strings.ToLower(string(r.code)), r.title)
	}
	for _, r := range table() {
		fmt.Fprintf(&b, "\n## %s\n\n", r.code)
		fmt.Fprintf(&b, "**%s.** %s\n\n", upper(r.title), r.explain)
		fmt.Fprintf(&b, "- Evidence: %s.\n", r.evidence)
		b.WriteString("- Cause, as it is worded:\n")
		for _, c := range r.causes {
			fmt.Fprintf(&b, "  - %s\n", placeholders(c))
		}
		b.WriteString("- What to do:\n")
		for _, rem := range r.remedies {
			on := map[string]string{"": "", "unix": "Linux, macOS: ", "linux": "Linux: ", "darwin": "macOS: ", "windows": "Windows: "}[rem.on]
			fmt.Fprintf(&b, "  - %s%s\n", on, placeholders(rem.text))
		}
		fmt.Fprintf(&b, "- What dist does: %s.\n", r.response())
	}
	return b.Bytes()
}

// response is what fits the row, in words.
func (r *row) response() string {
	switch r.code {
	case ProgramStop, LeftGoroutine, LeftListener, LeftChild:
		return "says so in the test's log (`-v`, or where the test fails), and goes on"
	}
	if r.skip {
		return "skips the test"
	}
	var parts []string
	if r.retry > 0 {
		parts = append(parts, fmt.Sprintf("tries again, first after %s", r.retry))
	}
	if r.reduce {
		parts = append(parts, "goes down to the test's `min`, if it has one")
	}
	return cmp.Or(strings.Join(append(parts, "fails"), "; then "), "fails")
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// placeholders turns {pid} into PID, conditions into nothing, and keeps angle
// brackets and emphasis marks from being read as Markdown.
func placeholders(template string) string {
	out := template
	for _, word := range words(template) {
		to := strings.ToUpper(word)
		if strings.HasPrefix(word, "if-") {
			to = ""
		}
		out = strings.ReplaceAll(out, "{"+word+"}", to)
	}
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`).Replace(out)
}

// words returns the {word}s of a template.
func words(template string) []string {
	var ws []string
	for i := 0; i < len(template); i++ {
		if template[i] != '{' {
			continue
		}
		word, _, ok := strings.Cut(template[i+1:], "}")
		if ok && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-") == "" {
			ws = append(ws, word)
		}
	}
	return ws
}
