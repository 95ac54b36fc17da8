package main

import (
	"flag"
	"fmt"
	"strings"
)

// A testLine is the command line of dist test: what is for dist, and what is
// for go test.
//
// Which words name packages depends on which flags take a value, so flags are
// read by the rules of go test itself, with its flags in a table. A flag that
// neither knows is, as for go test, the test binary's, and whatever follows it
// may be its value.
type testLine struct {
	packages []string
	known    []goFlag // flags of go test, as given and in order
	rest     []string // for the test binary: flags unknown to go test and all that must follow them
}

// A goFlag is a flag of go test on the command line.
type goFlag struct {
	name  string // without dashes and the prefix "test."
	value string // "true" for a boolean one that is just named
	raw   []string
}

// A flagKind is what has to be known about a flag of go test.
type flagKind int

const (
	boolean flagKind = 1 << iota // takes no separate value
	build                        // decides what is built, so go vet has to have it too
)

// goTestFlags are the flags of go test. TestGoTestFlags holds the table against
// the go command.
var goTestFlags = map[string]flagKind{
	"a": boolean, "n": boolean, "x": boolean, "work": boolean, "p": 0,
	"debug-actiongraph": 0, "debug-runtime-trace": 0, "debug-trace": 0,

	"asan": boolean | build, "msan": boolean | build, "race": boolean | build,
	"linkshared": boolean | build, "modcacherw": boolean | build, "trimpath": boolean | build, "buildvcs": boolean | build,
	"asmflags": build, "buildmode": build, "compiler": build, "gcflags": build, "gccgoflags": build,
	"installsuffix": build, "ldflags": build, "mod": build, "modfile": build, "overlay": build,
	"pgo": build, "pkgdir": build, "tags": build, "toolexec": build,

	"artifacts": boolean, "benchmem": boolean, "c": boolean, "cover": boolean, "failfast": boolean,
	"fullpath": boolean, "json": boolean, "short": boolean, "v": boolean,
	"bench": 0, "benchtime": 0, "blockprofile": 0, "blockprofilerate": 0, "count": 0, "covermode": 0,
	"coverpkg": 0, "coverprofile": 0, "cpu": 0, "cpuprofile": 0, "exec": 0, "fuzz": 0,
	"fuzzminimizetime": 0, "fuzztime": 0, "list": 0, "memprofile": 0, "memprofilerate": 0,
	"mutexprofile": 0, "mutexprofilefraction": 0, "o": 0, "outputdir": 0, "parallel": 0, "run": 0,
	"shuffle": 0, "skip": 0, "timeout": 0, "trace": 0, "vet": 0,
}

// parseTestLine splits a command line. The flags in own are dist's wherever
// they stand before a "--" or -args; what follows the "--" is go test's alone.
func parseTestLine(args []string, own *flag.FlagSet) (*testLine, error) {
	var (
		line     testLine
		ours     = true  // no "--" so far
		listing  = false // the last word that go test will see was a package
		listed   = false // no more words can be packages
		valueDue = false // the last word was an unknown flag without a value
	)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			if ours {
				ours = false
				continue
			}
			line.rest = append(append(line.rest, arg), args...)
			return &line, nil
		}
		name, value, hasValue, isFlag := splitFlag(arg)
		if !isFlag {
			switch {
			case listing || !listed:
				listing, listed = true, true
				line.packages = append(line.packages, arg)
			case valueDue:
				valueDue = false
				line.rest = append(line.rest, arg)
			default:
				line.rest = append(append(line.rest, arg), args...)
				return &line, nil
			}
			continue
		}
		// next is the value of a flag that takes one.
		next := func() error {
			if hasValue {
				return nil
			}
			if len(args) == 0 {
				return fmt.Errorf("flag needs an argument: -%s (dist help test lists the flags)", name)
			}
			value, args = args[0], args[1:]
			return nil
		}
		if f := own.Lookup(name); ours && f != nil {
			if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
				if !hasValue {
					value = "true"
				}
			} else if err := next(); err != nil {
				return nil, err
			}
			if err := own.Set(name, value); err != nil {
				return nil, fmt.Errorf("invalid value %q for flag -%s: %v (dist help test lists the flags)", value, name, err)
			}
			continue
		}
		listing, valueDue = false, false
		if ours && (name == "h" || name == "help") {
			return nil, flag.ErrHelp
		}
		kind, ok := goTestFlags[strings.TrimPrefix(name, "test.")]
		if !ok {
			listed = true
			line.rest = append(line.rest, arg)
			if name == "args" && !hasValue {
				line.rest = append(line.rest, args...)
				return &line, nil
			}
			valueDue = !hasValue
			continue
		}
		f := goFlag{name: strings.TrimPrefix(name, "test."), raw: []string{arg}}
		switch {
		case kind&boolean == 0:
			if err := next(); err != nil {
				return nil, err
			}
			if !hasValue {
				f.raw = append(f.raw, value)
			}
		case !hasValue:
			value = "true"
		}
		f.value = value
		line.known = append(line.known, f)
	}
	return &line, nil
}

// splitFlag takes a word apart by the rules of package flag.
func splitFlag(arg string) (name, value string, hasValue, isFlag bool) {
	if len(arg) < 2 || arg[0] != '-' {
		return "", "", false, false
	}
	name, value, hasValue = strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
	return name, value, hasValue, true
}

// value returns the value of a flag of go test, the last one given; "" if none is.
func (l *testLine) value(name string) string {
	v := ""
	for _, f := range l.known {
		if f.name == name {
			v = f.value
		}
	}
	return v
}

// set replaces a flag of go test.
func (l *testLine) set(name, value string) {
	l.unset(name)
	l.known = append(l.known, goFlag{name, value, []string{"-" + name + "=" + value}})
}

func (l *testLine) unset(name string) {
	var kept []goFlag
	for _, f := range l.known {
		if f.name != name {
			kept = append(kept, f)
		}
	}
	l.known = kept
}

// goTest returns the arguments of go test. Packages come before the flags, as a
// word after a flag might be an argument of the test binary.
func (l *testLine) goTest() []string {
	args := append([]string{"test"}, l.packages...)
	for _, f := range l.known {
		args = append(args, f.raw...)
	}
	return append(args, l.rest...)
}

// goVet returns the arguments of a go vet of the same build.
func (l *testLine) goVet(tool string, packages []string) []string {
	args := []string{"vet", "-vettool=" + tool}
	for _, f := range l.known {
		if goTestFlags[f.name]&build != 0 {
			args = append(args, f.raw...)
		}
	}
	return append(args, packages...)
}

// loading returns the flags, besides -tags, that decide what the go command
// loads, as they would stand in GOFLAGS.
func (l *testLine) loading() []string {
	var flags []string
	for _, name := range []string{"mod", "modfile", "race", "msan", "asan"} {
		if v := l.value(name); v != "" {
			flags = append(flags, "-"+name+"="+v)
		}
	}
	return flags
}
