package runtime

import (
	"flag"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/distkit/dist/requirement"
)

// A selection is which tests this run of the binary is going to run, as far as
// their top-level names tell.
type selection struct {
	list  bool
	run   *regexp.Regexp // nil: all
	skip  *regexp.Regexp // nil: none
	bench *regexp.Regexp // nil: none
	times int            // how often each runs
	short bool
}

// readSelection reads the flags of package testing. They may not be parsed yet
// when a bootstrap runs, and parsing them here would fail on flags that the
// author's set-up has still to define; so they are looked for by hand.
func readSelection() selection {
	s := selection{times: 1}
	value := func(name string) string { return flagValue(os.Args[1:], "test."+name) }
	s.list = value("list") != ""
	s.run = topLevel(value("run"), false)
	s.skip = topLevel(value("skip"), true)
	if b := value("bench"); b != "" {
		s.bench = topLevel(b, false)
		if s.bench == nil {
			s.bench = regexp.MustCompile("")
		}
	}
	if n, err := strconv.Atoi(value("count")); err == nil && n >= 0 {
		s.times = n
	}
	if cpus := value("cpu"); cpus != "" {
		s.times *= strings.Count(cpus, ",") + 1
	}
	s.short, _ = strconv.ParseBool(value("short"))
	return s
}

// flagValue is the value of a flag, by the rules of package flag; "true" for a
// boolean flag that is just named. "" if it is not there.
func flagValue(args []string, name string) (value string) {
	if flag.Parsed() {
		if f := flag.Lookup(name); f != nil {
			if f.Value.String() == f.DefValue {
				return ""
			}
			return f.Value.String()
		}
		return ""
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" || len(arg) < 2 || arg[0] != '-' {
			break
		}
		flagName, v, has := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		f := flag.Lookup(flagName)
		isBool := false
		if f != nil {
			b, ok := f.Value.(interface{ IsBoolFlag() bool })
			isBool = ok && b.IsBoolFlag()
		}
		switch {
		case has:
		case isBool:
			v = "true"
		case i+1 < len(args):
			i++
			v = args[i]
		}
		if flagName == name {
			value = v // the last one wins
		}
	}
	return value
}

// topLevel is the part of a -run or -skip pattern that decides about top-level
// names; nil if it says nothing about them. Patterns are alternatives separated
// by |, each a list of expressions for the levels of a test's name separated by
// /. whole: only alternatives of one level count, since -skip with more skips
// subtests, not the test.
func topLevel(pattern string, whole bool) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	var alternatives []string
	for _, alt := range splitOutside(pattern, '|') {
		levels := splitOutside(alt, '/')
		if whole && len(levels) > 1 {
			continue
		}
		alternatives = append(alternatives, "(?:"+levels[0]+")")
	}
	if len(alternatives) == 0 {
		return nil
	}
	re, err := regexp.Compile(strings.Join(alternatives, "|"))
	if err != nil {
		return nil // m.Run will say so
	}
	return re
}

// splitOutside splits at a separator that stands outside brackets and
// parentheses, as package testing does.
func splitOutside(s string, sep byte) []string {
	var parts []string
	brackets, parens, start := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			brackets++
		case ']':
			if brackets--; brackets < 0 { // an unmatched ] is legal
				brackets = 0
			}
		case '(':
			if brackets == 0 {
				parens++
			}
		case ')':
			if brackets == 0 {
				parens--
			}
		case '\\':
			i++
		case sep:
			if brackets == 0 && parens == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}

// runs reports whether a test, benchmark or fuzz target is going to run.
func (s selection) runs(t requirement.Test) bool {
	if s.list || s.times == 0 {
		return false
	}
	if s.skip != nil && s.skip.MatchString(t.Name) {
		return false
	}
	if strings.HasPrefix(t.Name, "Benchmark") {
		return s.bench != nil && s.bench.MatchString(t.Name)
	}
	return s.run == nil || s.run.MatchString(t.Name)
}
