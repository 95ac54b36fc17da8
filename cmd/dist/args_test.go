package main

import (
	"errors"
	"flag"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestParseTestLine(t *testing.T) {
	for _, c := range []struct {
		args string
		want string // of go test
		own  string // -only, -mode and -max-nodes
	}{
		{"", "", ""},
		{"./...", "./...", ""},
		{"-run TestX -count=3 -v ./...", "./... -run TestX -count=3 -v", ""},
		{"-v -run=TestX a b -short", "a b -v -run=TestX -short", ""},
		{"--run TestX a", "a --run TestX", ""},
		{"-test.run TestX a", "a -test.run TestX", ""},

		{"-only ./...", "./...", "only"},
		{"--only=true a", "a", "only"},
		{"-only=false a", "a", ""},
		{"-mode off -max-nodes=3 a b", "a b", "mode=off max-nodes=3"},
		{"a -mode off b", "a b", "mode=off"},
		{"-run -only a", "a -run -only", ""}, // a value, as for go test

		// What go test does not know is the test binary's, and so may be what follows.
		{"-custom=1 -v", "-v -custom=1", ""},
		{"a -custom val -v", "a -v -custom val", ""},
		{"-custom val a", "-custom val a", ""},
		{"a -v pos -x", "a -v pos -x", ""},
		{"a -args -run b -only -- c", "a -args -run b -only -- c", ""},
		{"-only a -args -only", "a -args -only", "only"},

		// What follows -- is go test's, up to its own --.
		{"a -- -v -mode=fast", "a -v -mode=fast", ""},
		{"a -mode=off -- -mode fast", "a -mode fast", "mode=off"},
		{"-- -run TestX a", "a -run TestX", ""},
		{"a -- -v -- b -c", "a -v -- b -c", ""},
		{"a -- -help", "a -help", ""},
	} {
		var own []string
		line, err := parseTestLine(strings.Fields(c.args), ownFlags(&own))
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		if got := strings.Join(line.goTest()[1:], " "); got != c.want {
			t.Errorf("%q: go test %s, want %s", c.args, got, c.want)
		}
		if got := strings.Join(own, " "); got != c.own {
			t.Errorf("%q: own flags %q, want %q", c.args, got, c.own)
		}
	}
}

func ownFlags(set *[]string) *flag.FlagSet {
	flags := newFlags("test")
	flags.BoolFunc("only", "", func(v string) error {
		if v == "true" {
			*set = append(*set, "only")
		}
		return nil
	})
	for _, name := range []string{"mode", "max-nodes"} {
		flags.Func(name, "", func(v string) error {
			if v == "bad" {
				return errors.New("told so")
			}
			*set = append(*set, name+"="+v)
			return nil
		})
	}
	return flags
}

func TestParseTestLineErrors(t *testing.T) {
	for args, want := range map[string]string{
		"-mode":     "flag needs an argument: -mode (dist help test lists the flags)",
		"a -run":    "flag needs an argument: -run (dist help test lists the flags)",
		"-mode=bad": `invalid value "bad" for flag -mode: told so (dist help test lists the flags)`,
		"a -h":      flag.ErrHelp.Error(),
		"--help":    flag.ErrHelp.Error(),
	} {
		if _, err := parseTestLine(strings.Fields(args), ownFlags(new([]string))); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", args, err, want)
		}
	}
}

func TestGoVet(t *testing.T) {
	line, err := parseTestLine(strings.Fields("-race -v -run X -tags a,b -count=1 -modfile=other.mod ./... -custom"), newFlags("test"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(line.goVet("tool", []string{"example.com/m"}), " ")
	if want := "vet -vettool=tool -race -tags a,b -modfile=other.mod example.com/m"; got != want {
		t.Errorf("go %s, want %s", got, want)
	}
}

// The go command says of a flag that takes a value, and stands alone, that it
// needs one.
func TestGoTestFlags(t *testing.T) {
	dir := t.TempDir()
	for name, kind := range goTestFlags {
		cmd := exec.CommandContext(t.Context(), "go", "test", "-"+name)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("go test -%s succeeded in an empty directory", name)
		}
		needs := strings.Contains(string(out), "flag needs an argument: -"+name)
		if needs != (kind&boolean == 0) {
			t.Errorf("go test -%s: %s", name, out)
		}
	}
	// What go help lists must be in the table.
	for _, topic := range []string{"build", "testflag"} {
		out, err := exec.CommandContext(t.Context(), "go", "help", topic).Output()
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(out)) {
			l, ok := strings.CutPrefix(l, "\t-")
			if !ok {
				continue
			}
			name := l[:strings.IndexAny(l+" ", " =,\n")]
			if _, ok := goTestFlags[name]; !ok && !slices.Contains([]string{"C", "args"}, name) {
				t.Errorf("go help %s lists -%s, which the table lacks", topic, name)
			}
		}
	}
}
