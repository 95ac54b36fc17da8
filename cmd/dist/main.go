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
	"strings"

	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/distkit/dist/analyzer"
	"github.com/distkit/dist/cmd/internal/vettool"
	"github.com/distkit/dist/config"
	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/wire"
)

// Exit statuses, the same for every command.
const (
	exitOK      = 0
	exitFailed  = 1 // the tests or checks failed
	exitTrouble = 2 // usage or environment
)

func main() {
	if c := process.Inherited(); c != nil {
		beNode(c)
	}
	if asked, err := vettool.Identify(os.Args[1:], "dist", os.Stdout); asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitTrouble)
		}
		return
	}
	if calledByGoVet(os.Args[1:]) {
		unitchecker.Main(analyzer.Analyzer)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	status := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(status)
}

// beNode is the life of a node that dist doctor starts: it answers until it is
// not wanted any more.
func beNode(c *process.Child) {
	c.Serve(func(context.Context, string, []byte) ([]byte, error) { return nil, nil }, func(*wire.Conn) {})
	c.Abandoned()
	os.Exit(exitTrouble)
}

// calledByGoVet reports whether go vet is asking, with this executable as its
// -vettool: dist test needs no distvet installed. What go vet says is -V=full,
// -flags, or flags and the name of a .cfg file.
func calledByGoVet(args []string) bool {
	if len(args) == 0 {
		return false
	}
	return strings.HasPrefix(args[0], "-V=") || args[0] == "-flags" ||
		lookup(args[0]) == nil && strings.HasSuffix(args[len(args)-1], ".cfg")
}

// streams are what go test inherits, so files and not just readers and writers.
type streams struct{ in, out, err *os.File }

// A command is one word of the command line after dist.
//
// There is no library behind this: those that make commands and their
// completion want flags with two dashes, and dist's go into the same line as
// those of go test. Flags are package flag's, declared in one place per command
// from which both parsing and completion take them.
type command struct {
	name  string
	short string
	long  string
	words func() []string // what completion offers besides flags; nil for files and directories
	raw   bool            // the action reads the command line itself, see testLine
	setup func(*flag.FlagSet) action
}

// An action does what a command line says, after its flags have been read. args
// are what is left of it; for a raw command, all of it.
type action func(ctx context.Context, args []string, s streams) error

// commands are in the order in which help lists them. It is filled in init, as
// help itself refers to it.
var commands []*command

func init() {
	commands = []*command{
		{"test", "run tests as go test does, clusters taken care of", testHelp, nil, true, setupTest},
		{"plan", "show which tests need clusters, and what would be done", planHelp, nil, false, setupPlan},
		{"up", "start a cluster of a program, and keep it", upHelp, programNames, false, setupUp},
		{"down", "end clusters that are kept", downHelp, clusterWords, false, setupDown},
		{"ps", "show the clusters that are up", psHelp, nothing, false, setupPs},
		{"logs", "print what the nodes of a cluster write", logsHelp, clusterWords, false, setupLogs},
		{"dump", "print what the goroutines of running nodes do, or take profiles of them", dumpHelp, dumpWords, false, setupDump},
		{"report", "draw what happened in a run, as a page for a browser", reportHelp, reportedPackages, false, setupReport},
		{"doctor", "check whether clusters can be had on this machine", doctorHelp, nothing, false, setupDoctor},
		{"clean", "remove what killed runs have left behind", cleanHelp, nothing, false, setupClean},
		{"completion", "print what makes a shell complete dist's words", completionHelp, shells, false, setupCompletion},
		{"version", "print the version", versionHelp, nothing, false, setupVersion},
		{"help", "explain a command", helpHelp, commandNames, false, setupHelp},
	}
}

func nothing() []string { return []string{} }

func commandNames() []string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	return names
}

func lookup(name string) *command {
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

// failed is the error of a command that has said all there is to say.
type failed int

func (f failed) Error() string { return fmt.Sprintf("exit status %d", int(f)) }

// run is the whole command.
func run(ctx context.Context, args []string, s streams) int {
	name := "help"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	if name == completing {
		complete(args, s.out)
		return exitOK
	}
	c := lookup(name)
	if c == nil {
		fmt.Fprintf(s.err, "dist: unknown command %q (dist help lists the commands)\n", name)
		return exitTrouble
	}
	err := c.run(ctx, args, s)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(s.out, c.long)
		return exitOK
	}
	return complain(s.err, c.name, err)
}

// complain prints an error and returns the exit status that goes with it.
// Mistakes in the packages begin with their position, where editors look for
// it, and are what a check is for; anything else is trouble.
func complain(w io.Writer, command string, err error) int {
	var (
		status   failed
		mistakes generator.Errors
		settings config.Errors
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &mistakes):
		for _, m := range mistakes {
			if m.Pos.Filename == "" {
				fmt.Fprintf(w, "dist %s: %v\n", command, m)
			} else {
				fmt.Fprintln(w, m)
			}
		}
		return exitFailed
	case errors.As(err, &settings):
		for _, e := range settings {
			if e.File == "" {
				fmt.Fprintf(w, "dist %s: %v\n", command, e)
			} else {
				fmt.Fprintln(w, e)
			}
		}
		return exitTrouble
	}
	fmt.Fprintf(w, "dist %s: %v\n", command, err)
	return exitTrouble
}

// chdir does what the go command's -C does.
func chdir(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("-C: %w", err)
	}
	return nil
}

const helpHelp = `usage: dist help [command]

Explains a command; without one, lists the commands.

Examples:

  dist help
  dist help test

Exit status: 0; 2 for a command that there is not.
`

func setupHelp(*flag.FlagSet) action { return runHelp }

func runHelp(_ context.Context, args []string, s streams) error {
	if len(args) > 0 {
		c := lookup(args[0])
		if c == nil {
			return fmt.Errorf("unknown command %q (dist help lists the commands)", args[0])
		}
		if err := noArguments("help", args[1:]); err != nil {
			return err
		}
		io.WriteString(s.out, c.long)
		return nil
	}
	io.WriteString(s.out, "Dist runs tests against clusters of real processes.\n\nusage: dist <command> [arguments]\n\n")
	for _, c := range commands {
		fmt.Fprintf(s.out, "  %-12s%s\n", c.name, c.short)
	}
	io.WriteString(s.out, `
dist help <command> says more. Examples:

  dist test ./...                       all tests; nothing has to be generated first
  dist test -only -v ./...              the tests that need clusters, with each decision
  dist test -run TestLeader -count=10   flags of go test are passed on to it
  dist test -mode=off ./...             all other tests; those that need clusters are skipped, and counted
  dist plan ./...                       who needs what, and what would be done about it here
  dist up etcd -nodes 3                 a cluster for all tests that need one, until dist down etcd
  dist doctor                           whether clusters can be had on this machine

Exit status: 0 fine, 1 the tests or checks failed, 2 usage or environment.
`)
	return nil
}

// run reads the flags of a command line and does what it says.
func (c *command) run(ctx context.Context, args []string, s streams) error {
	flags := newFlags(c.name)
	act := c.setup(flags)
	if c.raw {
		return act(ctx, args, s)
	}
	args, err := parseFlags(flags, args)
	if err != nil {
		return err
	}
	return act(ctx, args, s)
}

// noArguments is for commands that take none, or no more.
func noArguments(command string, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q (dist help %s)", args[0], command)
	}
	return nil
}

// newFlags returns a flag set that leaves all printing to its caller.
func newFlags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parseFlags reads flags wherever they stand before a "--", and returns what
// else there is. Its errors say where help is.
func parseFlags(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			if !errors.Is(err, flag.ErrHelp) {
				err = fmt.Errorf("%w (dist help %s lists the flags)", err, flags.Name())
			}
			return nil, err
		}
		left := flags.Args()
		ended := len(args) > len(left) && args[len(args)-len(left)-1] == "--"
		if len(left) == 0 || ended {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// printJSON writes what a command has found for other programs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}
