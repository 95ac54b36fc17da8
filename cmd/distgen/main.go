package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/distkit/dist/generator"
)

// Exit statuses. As with diff, 1 is an answer and 2 is trouble.
const (
	exitOK      = 0
	exitDiffers = 1
	exitError   = 2
)

func main() {
	// It ends before there is much to collect.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole command.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "distgen: %v\n", err)
		return exitError
	case c.version:
		fmt.Fprintf(stdout, "distgen %s\n", version())
		return exitOK
	}
	pkgs, err := generator.Generate(ctx, c.options)
	status := exitOK
	if err != nil {
		report(stderr, err)
		status = exitError
	}
	// What could be found out is worth having in spite of mistakes elsewhere.
	for _, p := range pkgs {
		for i := range p.Files {
			f := &p.Files[i]
			if !f.Stale() {
				continue
			}
			name := c.name(f.Path)
			switch {
			case c.diff:
				stdout.Write(unified(name, f))
				status = max(status, exitDiffers)
				continue
			case !c.dryRun:
				if err := f.Commit(); err != nil {
					report(stderr, err)
					status = exitError
					continue
				}
			}
			fmt.Fprintf(stdout, "%s %s\n", c.verb(f), name)
		}
	}
	return status
}

// A command is what the command line asks for.
type command struct {
	options generator.Options
	dir     string // what file names are shown relative to
	dryRun  bool
	diff    bool
	version bool
}

const usage = `usage: distgen [-n | -diff] [-C dir] [-tags list] [packages]

Distgen writes the dist_gen_test.go files of the packages whose tests need
clusters, and removes those that nothing needs any more. Packages are named as
for go test; without any it is the one in the current directory.

`

// parse reads the command line. What it writes to stdout is the help asked for;
// its errors fit on one line.
func parse(args []string, stdout io.Writer) (*command, error) {
	c := new(command)
	flags := flag.NewFlagSet("distgen", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&c.dryRun, "n", false, "print what would be written and removed, change nothing")
	flags.BoolVar(&c.diff, "diff", false, "print what would change as a unified diff, change nothing;\nexit with 1 if anything would")
	flags.StringVar(&c.options.Dir, "C", "", "change to `dir` first")
	flags.StringVar(&c.options.Tags, "tags", "", "build with these tags, a comma-separated `list`, as go test does")
	flags.BoolVar(&c.version, "version", false, "print the version")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			io.WriteString(stdout, usage)
			flags.SetOutput(stdout)
			flags.PrintDefaults()
			return nil, err
		}
		return nil, fmt.Errorf("%w (distgen -help lists the flags)", err)
	}
	if c.dryRun && c.diff {
		return nil, errors.New("-n and -diff exclude each other: -diff changes nothing either")
	}
	for _, p := range flags.Args() {
		if strings.HasPrefix(p, "-") {
			return nil, fmt.Errorf("flag %s after the packages: put flags first", p)
		}
	}
	c.options.Patterns = flags.Args()
	if c.options.Dir != "" {
		if info, err := os.Stat(c.options.Dir); err != nil {
			return nil, fmt.Errorf("-C: %w", err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("-C: %s is not a directory", c.options.Dir)
		}
	}
	var err error
	c.dir, err = filepath.Abs(c.options.Dir)
	return c, err
}

// verb says what becomes of a stale file.
func (c *command) verb(f *generator.File) string {
	switch {
	case c.dryRun && f.New == nil:
		return "would remove"
	case c.dryRun:
		return "would write"
	case f.New == nil:
		return "removed"
	}
	return "wrote"
}

// name returns a file's name as people would type it.
func (c *command) name(path string) string {
	if rel, err := filepath.Rel(c.dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// report prints an error; mistakes in the packages begin with their position,
// where editors look for it.
func report(w io.Writer, err error) {
	if mistakes := (generator.Errors)(nil); errors.As(err, &mistakes) {
		for _, m := range mistakes {
			if m.Pos.Filename == "" {
				fmt.Fprintf(w, "distgen: %v\n", m)
			} else {
				fmt.Fprintln(w, m)
			}
		}
		return
	}
	fmt.Fprintf(w, "distgen: %v\n", err)
}

// unified returns the change of f as a patch that patch and git apply take.
func unified(name string, f *generator.File) []byte {
	name = filepath.ToSlash(name)
	from, to := "a/"+name, "b/"+name
	if f.Old == nil {
		from = "/dev/null"
	}
	if f.New == nil {
		to = "/dev/null"
	}
	return diff.Diff(from, f.Old, to, f.New)
}

// version returns the version of the module that the command was built from.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == "github.com/distkit/dist" {
				return m.Version
			}
		}
	}
	return "(unknown)"
}
