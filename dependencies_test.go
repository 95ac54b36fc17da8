package dist_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// heavy are packages that a test author's import must not bring: each is large,
// slow to initialise, or does what a test library has no business to.
var heavy = regexp.MustCompile(`^(net/http|net/rpc|net/smtp|text/template|html/template|crypto/tls|encoding/gob|encoding/xml|encoding/asn1|` +
	`os/user|expvar|plugin|log/slog|database/.*|debug/(elf|dwarf|macho|pe|gosym)|archive/.*|compress/(bzip2|lzw|zlib)|image|go/.*|` +
	`golang\.org/x/tools/.*|.*/cobra|.*/jennifer/.*)$`)

// goList is what the go command says of the packages of this module, whatever
// workspace it is in.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	readFile(t, "go.mod") // for the test cache, which does not see what the go command reads
	readFile(t, "go.sum")
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go list %q: %v: %s", args, err, exit.Stderr)
		}
		t.Fatalf("go list %q: %v", args, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return slices.Compact(lines)
}

// dependencies reads the tables of docs/dependencies.md: licence by module.
func dependencies(t *testing.T) (light, other map[string]string) {
	row := regexp.MustCompile(`(?m)^\| ([^ |]+\.[^ |]+) \| ([^ |]+) \| \S`)
	table := func(text string) map[string]string {
		m := make(map[string]string)
		for _, r := range row.FindAllStringSubmatch(text, -1) {
			m[r[1]] = r[2]
		}
		return m
	}
	first, second, ok := strings.Cut(readFile(t, filepath.Join("docs", "dependencies.md")), "\n## What else")
	if !ok {
		t.Fatal("docs/dependencies.md has no second table")
	}
	return table(first), table(second)
}

const moduleOf = `{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}`

// TestImportIsLight: what package dist brings into a test binary is what
// docs/dependencies.md says.
func TestImportIsLight(t *testing.T) {
	light, _ := dependencies(t)
	got := slices.DeleteFunc(goList(t, "-deps", "-f", moduleOf, "."), func(m string) bool { return m == "" })
	if want := slices.Sorted(maps.Keys(light)); !slices.Equal(got, want) {
		t.Errorf("importing package dist brings the modules\n%q\nand docs/dependencies.md says\n%q", got, want)
	}
	for _, p := range goList(t, "-deps", ".") {
		if heavy.MatchString(p) {
			t.Errorf("importing package dist brings %s", p)
		}
	}
}

// TestLicences: every module that anything here is built of is listed, with the
// licence that it comes with.
func TestLicences(t *testing.T) {
	light, other := dependencies(t)
	listed := maps.Clone(light)
	for m, licence := range other {
		if listed[m] != "" {
			t.Errorf("docs/dependencies.md lists %s twice", m)
		}
		listed[m] = licence
	}
	for _, line := range goList(t, "-deps", "-test", "-f", `{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}`, "./...") {
		m, dir, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		want := listed[m]
		delete(listed, m)
		if got := licenceIn(t, dir); want == "" || got != want {
			t.Errorf("%s is under the licence %q; docs/dependencies.md says %q", m, got, want)
		}
	}
	for m := range listed {
		// Of another system's files, perhaps.
		if len(goList(t, "-m", "-f", "{{.Path}}", m)) == 0 {
			t.Errorf("docs/dependencies.md lists %s, which nothing needs", m)
		}
	}
}

// licenceIn is the licence in a module's directory, "" if it is none of those
// that are known to suit us.
func licenceIn(t *testing.T, dir string) string {
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.ToLower(f.Name()); !strings.HasPrefix(name, "license") && !strings.HasPrefix(name, "licence") {
			continue
		}
		text := strings.Join(strings.Fields(readFile(t, filepath.Join(dir, f.Name()))), " ")
		switch {
		case strings.Contains(text, "Permission is hereby granted, free of charge, to any person obtaining a copy") &&
			strings.Contains(text, "The above copyright notice and this permission notice shall be included in all copies"):
			return "MIT"
		case strings.Contains(text, "Redistribution and use in source and binary forms, with or without modification, are permitted") &&
			(strings.Contains(text, "Neither the name of") || strings.Contains(text, "contributors may be used to endorse")):
			return "BSD-3-Clause"
		case strings.Contains(text, "Apache License Version 2.0, January 2004") && strings.Contains(text, "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"):
			return "Apache-2.0"
		}
	}
	return ""
}
