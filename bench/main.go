package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
)

func main() {
	if beFloor(os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err {
	case nil, flag.ErrHelp:
	case errUsage:
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// errUsage has been told already.
var errUsage = fmt.Errorf("usage")

// run measures the selected lines and prints a table, or objects as they come.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	pattern := flags.String("run", "", "measure only the lines that match this `regexp`")
	rounds := flags.Int("rounds", 25, "measure each line `n` times, in turns with its floor")
	pkg := flags.String("package", "", "measure in the test binary of the package in this `directory` (default: the raft example, or a stand-in for it)")
	prog := flags.String("program", "etcd@examples/etcd", "keep a cluster of this `program@directory` of a distributed.toml")
	race := flags.Bool("race", false, "build the test binary with the race detector")
	if err := flags.Parse(args); err != nil {
		if err == flag.ErrHelp {
			return err
		}
		return errUsage
	}
	re, err := regexp.Compile(*pattern)
	if err != nil || flags.NArg() > 0 || *rounds < 1 {
		fmt.Fprintln(stderr, "usage: bench [-json] [-run regexp] [-rounds n] [-package dir] [-program name@dir] [-race]")
		return errUsage
	}
	var selected []line
	for _, l := range lines {
		if re.MatchString(l.name) {
			selected = append(selected, l)
		}
	}
	if len(selected) == 0 {
		return fmt.Errorf("no line matches %q", *pattern)
	}
	in := place{pkg: *pkg, race: *race, program: *prog}
	defer in.remove()

	var results []result
	out := json.NewEncoder(stdout)
	for _, l := range selected {
		n := *rounds
		if l.rounds > 0 {
			n = min(n, l.rounds)
		}
		samples, err := in.measure(ctx, l, n)
		if missing := (errMissing{}); errors.As(err, &missing) {
			fmt.Fprintf(stderr, "bench: %s is skipped: %v\n", l.name, missing)
			continue
		}
		if err != nil {
			return err
		}
		r := summarize(l, samples)
		if *asJSON {
			if err := out.Encode(r); err != nil {
				return err
			}
			continue
		}
		results = append(results, r)
	}
	if !*asJSON {
		return writeTable(stdout, &in, results)
	}
	return nil
}

// A place is where lines are measured. What a line needs is made for the first
// that does.
type place struct {
	pkg     string
	race    bool
	binary  *binary
	tree    *tree
	missing error  // why there is no tree
	program string // that is kept
	kept    *kept
	many    *manyTests
}

func (p *place) remove() {
	if p.binary != nil {
		p.binary.remove()
	}
	if p.tree != nil {
		p.tree.remove()
	}
	if p.kept != nil {
		p.kept.remove()
	}
	if p.many != nil {
		p.many.remove()
	}
}

func (p *place) measure(ctx context.Context, l line, rounds int) ([]sample, error) {
	once := func(round int) (sample, error) { return l.inTree(ctx, p.tree, round) }
	if l.inKept != nil {
		if p.kept == nil {
			k, err := newKept(ctx, p.program)
			if err != nil {
				return nil, err
			}
			p.kept = k
		}
		once = func(round int) (sample, error) { return l.inKept(ctx, p.kept, round) }
	} else if l.inSuite != nil {
		if p.many == nil {
			m, err := newManyTests(ctx, manyPackages)
			if err != nil {
				return nil, err
			}
			p.many = m
		}
		once = func(round int) (sample, error) { return l.inSuite(ctx, p.many, round) }
	} else if l.inTree == nil {
		if p.binary == nil {
			b, err := build(ctx, p.pkg, p.race)
			if err != nil {
				return nil, err
			}
			p.binary = b
		}
		once = func(round int) (sample, error) { return l.measure(ctx, p.binary, round) }
	} else if p.tree == nil {
		if p.missing != nil {
			return nil, p.missing
		}
		dir, err := fetch(ctx, largeModule)
		if err == nil {
			p.tree, err = newTree(ctx, largeModule, dir, largePackages, "")
		}
		if err != nil {
			p.missing = err
			return nil, err
		}
	}
	var samples []sample
	for round := range rounds {
		s, err := once(round)
		if err != nil {
			return nil, fmt.Errorf("measure %s, round %d: %w", l.name, round+1, err)
		}
		samples = append(samples, s)
	}
	return samples, nil
}
