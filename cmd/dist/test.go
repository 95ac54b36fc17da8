package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/runtime"
	"github.com/distkit/dist/runtime/lockfile"
)

const testHelp = `usage: dist test [flags] [packages] [-- go test flags]

Runs go test, and takes care of what distributed tests need: where a bootstrap
is missing or stale it is generated for this run alone (nothing is written to
the source tree), and what distvet finds stops the run before any test. The
output of go test is passed on byte for byte, and its exit status is kept. One
line on standard error sums up what became of the tests that need clusters.

Flags of go test, and those of the test binaries, are passed on; they need no --
unless they have the name of one of these:

  -only             run only the tests that need clusters; packages without any are left out
  -mode MODE        auto, manual or off (distributed tests are skipped); sets DIST_CLUSTER_MODE
  -max-nodes N      largest cluster one test may have; sets DIST_CLUSTER_MAX_NODES
  -reuse WHEN       auto, always or never; sets DIST_CLUSTER_REUSE
  -engine NAME      what starts nodes; sets DIST_CLUSTER_ENGINE
  -debug NODES      have nodes (node-2, or a list node-1,node-3) wait for a debugger; sets DIST_DEBUG
  -verbose          say what was generated, and run the tests with -v
  -C dir            change to dir first

With -cover the lines that ran in programs of [program.NAME] count, too: they are
added to the file of -coverprofile, and said on standard error without one. With
-debug the tests are built for a debugger and have no -timeout, unless one is given.

With -json, which is go test's, the summary is a JSON object on one line. With
-vet=off nothing is vetted.

Examples:

  dist test ./...
  dist test -run TestLeader -count=3 -v ./raft
  dist test -only -max-nodes=3 ./...
  dist test -debug node-2 -run TestLeader ./raft
  dist test ./... -- -mode=fast        a flag -mode of the test binaries

Exit status: that of go test (0, or 1 if tests failed); 1 if there are mistakes
in the tests, 2 for usage and environment.
`

// A testRun is one run of dist test.
type testRun struct {
	streams
	line     *testLine
	only     bool
	verbose  bool
	ci       string // the service that was detected
	tmp      string // a directory of this run's own
	env      []string
	packages []*generator.Package // those with something distributed
}

// testSettings are the flags that override a key of the configuration.
var testSettings = map[string]string{
	"mode":      "DIST_CLUSTER_MODE",
	"max-nodes": "DIST_CLUSTER_MAX_NODES",
	"reuse":     "DIST_CLUSTER_REUSE",
	"engine":    "DIST_CLUSTER_ENGINE",
	"debug":     runtime.EnvDebug,
}

func setupTest(own *flag.FlagSet) action {
	r := &testRun{}
	own.BoolVar(&r.only, "only", false, "")
	own.BoolVar(&r.verbose, "verbose", false, "")
	dir := own.String("C", "", "")
	settings := make(map[string]string) // by variable
	for name, variable := range testSettings {
		own.Func(name, "", func(v string) error {
			settings[variable] = v
			return nil
		})
	}
	return func(ctx context.Context, args []string, s streams) (err error) {
		r.streams = s
		if r.line, err = parseTestLine(args, own); err != nil {
			return err
		}
		if err := chdir(*dir); err != nil {
			return err
		}
		// Into our own environment, for all that runs below and for config.
		for variable, v := range settings {
			os.Setenv(variable, v)
		}
		return r.start(ctx)
	}
}

func (r *testRun) start(ctx context.Context) error {
	if err := r.checkEnvironment(); err != nil {
		return err
	}
	if r.verbose && r.line.value("v") == "" {
		r.line.set("v", "true")
	}

	var err error
	var lock *lockfile.File
	if r.tmp, lock, err = makeTestDir(); err != nil {
		return fmt.Errorf("make a directory for this run: %w", err)
	}
	defer lock.Remove()
	defer os.RemoveAll(r.tmp)
	if os.Getenv(runtime.EnvDebug) != "" && r.runsTests() {
		if err := r.prepareDebugging(); err != nil {
			return err
		}
	}
	return r.run(ctx)
}

// checkEnvironment reports settings that are wrong whatever the tests are. What
// is wrong in a distributed.toml concerns the packages it holds for.
func (r *testRun) checkEnvironment() error {
	cfg, err := config.Load("")
	var problems config.Errors
	if errors.As(err, &problems) {
		problems = slices.DeleteFunc(slices.Clone(problems), func(e *config.Error) bool { return e.Env == "" })
		if len(problems) > 0 {
			return problems
		}
		return nil
	}
	if err != nil {
		return err
	}
	r.ci = cfg.CI
	for _, w := range cfg.Warnings {
		fmt.Fprintf(r.err, "dist test: %s\n", w)
	}
	return nil
}

func (r *testRun) run(ctx context.Context) error {
	if err := r.generate(ctx); err != nil {
		if ctx.Err() != nil {
			return failed(exitFailed)
		}
		return err
	}
	if err := r.vet(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return failed(exitFailed)
	}
	return r.test(ctx)
}

// generate finds out what the bootstraps should be, and lays them over what is
// there where that is something else.
func (r *testRun) generate(ctx context.Context) error {
	env, err := r.loadingEnv(ctx)
	if err != nil {
		return err
	}
	r.packages, err = generator.Generate(ctx, generator.Options{
		Env:      env,
		Tags:     r.line.value("tags"),
		Patterns: r.line.packages,
	})
	if err != nil {
		return err
	}
	contents := generator.Overlay(r.packages)
	if len(contents) == 0 {
		return nil
	}
	theirs := r.line.value("overlay")
	if theirs == "" {
		flags, err := goFlags(ctx)
		if err != nil {
			return err
		}
		if strings.Contains(flags, "-overlay=") {
			theirs = "in GOFLAGS"
		}
	}
	if theirs != "" {
		stale := slices.Sorted(maps.Keys(contents))[0]
		return fmt.Errorf("-overlay %s is in the way of laying over %s, which is missing or stale: run distgen, or go generate, first", theirs, shown(stale))
	}
	overlay, err := writeOverlay(r.tmp, contents)
	if err != nil {
		return err
	}
	r.line.set("overlay", overlay)
	if r.verbose {
		for _, path := range slices.Sorted(maps.Keys(contents)) {
			verb := "generated"
			if contents[path] == nil {
				verb = "left out"
			}
			fmt.Fprintf(r.err, "dist: %s for this run: %s\n", verb, shown(path))
		}
	}
	return nil
}

// loadingEnv is the environment in which the go command loads what it is going
// to test; nil if that is our own.
func (r *testRun) loadingEnv(ctx context.Context) ([]string, error) {
	flags := r.line.loading()
	if len(flags) == 0 {
		return nil, nil
	}
	value, err := goFlags(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range flags {
		if strings.ContainsAny(f, " \t") {
			f = "'" + f + "'"
		}
		value += " " + f
	}
	return append(os.Environ(), "GOFLAGS="+strings.TrimSpace(value)), nil
}

// goFlags returns GOFLAGS, which may be set in a file of the go command's own.
func goFlags(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOFLAGS").Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return "", errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("ask the go command for its flags: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// shown is a file's name as people would type it.
func shown(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// paths returns the import paths of the packages with something distributed.
func (r *testRun) paths() []string {
	var paths []string
	for _, p := range r.packages {
		if p.Path != "" {
			paths = append(paths, p.Path)
		}
	}
	return paths
}

// vet runs the analyzer over the packages with something distributed, by way of
// go vet, which remembers what it has seen.
func (r *testRun) vet() error {
	paths := r.paths()
	if len(paths) == 0 || r.line.value("vet") == "off" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the executable of dist, to vet with: %w", err)
	}
	s := r.streams
	s.out = s.err // standard output is go test's alone
	status, err := runGo(s, nil, r.line.goVet(self, paths))
	if err != nil {
		return err
	}
	if status != 0 {
		fmt.Fprintln(r.err, "dist test: stopped before any test ran, by what go vet says (-vet=off runs them all the same)")
		return failed(exitFailed)
	}
	return nil
}

// test runs go test: once, unless -only needs several patterns.
func (r *testRun) test(ctx context.Context) error {
	lines := []*testLine{r.line}
	if r.only {
		var err error
		if lines, err = onlyDistributed(r.line, r.packages); err != nil {
			return err
		}
	}
	reports := filepath.Join(r.tmp, "reports")
	if err := os.Mkdir(reports, 0o700); err != nil {
		return fmt.Errorf("make a directory for the reports: %w", err)
	}
	covered, err := r.covered()
	if err != nil {
		return err
	}
	follow, err := followTests(reports, r.packages, r.streams)
	if err != nil {
		return err
	}
	var own *runOwner
	if r.runsTests() {
		var err error
		if own, err = ownClusters(r.packages); err != nil {
			fmt.Fprintf(r.err, "dist test: each package starts its own clusters of programs: %v\n", err)
		}
	}
	env := own.environ(append(os.Environ(), runtime.EnvReport+"="+reports))
	if covered != "" {
		env = append(env, runtime.EnvCoverDir+"="+covered)
	}
	status := exitOK
	for _, line := range lines {
		var s int
		if s, err = runGo(r.streams, env, line.goTest()); err != nil {
			break
		}
		status = max(status, s)
		if ctx.Err() != nil {
			break
		}
	}
	follow.end()
	if endErr := own.end(); endErr != nil {
		fmt.Fprintf(r.err, "dist test: %v\n", endErr)
	}
	if err != nil {
		return err
	}
	if !r.runsTests() {
		return failed(status)
	}
	if err := r.coverPrograms(covered); err != nil {
		fmt.Fprintf(r.err, "dist test: coverage of programs is not counted: %v\n", err)
	}
	sum, err := summarize(reports, r.packages, status == exitOK)
	if err != nil {
		fmt.Fprintf(r.err, "dist test: %v\n", err)
	} else if v := r.line.value("json"); v != "" && v != "false" {
		fmt.Fprintf(r.err, "%s\n", sum.json())
	} else {
		fmt.Fprintf(r.err, "dist: %s\n%s", sum, sum.lookAt())
	}
	if err == nil && r.ci == github {
		sum.annotate(r.err)
		if err := sum.stepSummary(); err != nil {
			fmt.Fprintf(r.err, "dist test: %v\n", err)
		}
	}
	return failed(status)
}

// runsTests reports whether go test runs tests, to their end.
func (r *testRun) runsTests() bool {
	return !slices.ContainsFunc(r.line.known, func(f goFlag) bool {
		return (f.name == "c" || f.name == "n") && f.value != "false" || f.name == "list"
	})
}
