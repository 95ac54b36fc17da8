package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the reference in docs/configuration.md from the table of keys")

const (
	docsFile    = "../docs/configuration.md"
	exampleFile = "../distributed.toml"
)

// TestReference compares the parts of docs/configuration.md that are drawn
// from the table of keys with that table.
func TestReference(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	want := got
	for name, text := range map[string]string{
		"services": referenceServices(),
		"sections": referenceSections(),
		"program":  referenceTable("program.NAME.", defaultProgram("NAME").fields()),
		"attach":   referenceTable("attach.NAME.", new(Attach).fields()),
	} {
		begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
		before, rest, ok1 := strings.Cut(want, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("%s: no lines %q and %q", docsFile, begin, end)
		}
		want = before + begin + text + end + after
	}
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.Fatalf("%s:%d: differs from the table of keys; run go test ./config -run TestReference -update\n got %s\nwant %s", docsFile, i+1, gotLines[i], wantLines[i])
		}
	}
	t.Fatalf("%s: has %d lines, the table of keys makes %d; run go test ./config -run TestReference -update", docsFile, len(gotLines), len(wantLines))
}

func referenceServices() string {
	var names []string
	for _, s := range services {
		names = append(names, fmt.Sprintf("%s (`%s`)", s.name, s.env))
	}
	return "Known are " + strings.Join(names, ", ") +
		", and any other that sets `CI`. A variable that is empty, `0`, `false`, `no` or `off` does not count, and `CI=false` denies all of them.\n"
}

func referenceSections() string {
	var b strings.Builder
	fields := Default().fields()
	for len(fields) > 0 {
		section, _, _ := strings.Cut(fields[0].key, ".")
		n := 0
		for n < len(fields) && strings.HasPrefix(fields[n].key, section+".") {
			n++
		}
		fmt.Fprintf(&b, "### [%s]\n\n%s\n", section, referenceTable("", fields[:n]))
		fields = fields[n:]
	}
	return b.String()
}

func referenceTable(prefix string, fields []field) string {
	var b strings.Builder
	b.WriteString("| key | default | may be | variable | meaning |\n|---|---|---|---|---|\n")
	for _, f := range fields {
		name := f.key
		if prefix == "" { // the heading names the section
			_, name, _ = strings.Cut(name, ".")
		}
		def := f.to.literal()
		switch {
		case prefix != "" && (def == `""` || def == "[]" || def == "{}" || def == `"0s"`):
			def = ""
		case def != "":
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", name, def, f.to.allowed(), envName(prefix+f.key), f.doc)
	}
	return b.String()
}
