package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/manager/allowance"
	"github.com/distkit/dist/runtime/network"
)

const doctorHelp = `usage: dist doctor [-fix] [-json] [-C dir]

Checks whether clusters can be had on this machine, before a test finds out: a
node is started and ended, addresses are taken, files written, limits compared
with their use. What would stop a cluster is told with the diagnosis that a test
would fail with. It takes less than a second.

  -fix      remove what killed runs have left behind (dist clean)
  -json     print one JSON object
  -C dir    change to dir first: it decides which distributed.toml is read

Examples:

  dist doctor
  dist doctor -json | jq '.checks[] | select(.status == "fail")'

Exit status: 0 if clusters can be had, 1 if not, 2 for usage.
`

// An examination is what dist doctor prints. Its JSON form is documented in
// docs/dist.md.
type examination struct {
	OK     bool     `json:"ok"`
	Checks []*check `json:"checks"`
}

// A check is one thing that was looked at, and what came of it.
type check struct {
	Name      string                 `json:"name"`
	Status    status                 `json:"status"`
	Text      string                 `json:"text"`
	Details   []string               `json:"details,omitempty"`
	Diagnosis *diagnostics.Diagnosis `json:"diagnosis,omitempty"` // of what a test would fail with
}

type status string

const (
	fine     status = "ok"
	info     status = "info" // nothing depends on it, or not yet
	warning  status = "warn" // clusters can be had, something else is missing
	stopping status = "fail" // no cluster can be had
)

func (c *check) ok(format string, args ...any) *check   { return c.is(fine, format, args...) }
func (c *check) info(format string, args ...any) *check { return c.is(info, format, args...) }
func (c *check) warn(format string, args ...any) *check { return c.is(warning, format, args...) }

func (c *check) is(s status, format string, args ...any) *check {
	c.Status, c.Text = s, fmt.Sprintf(format, args...)
	return c
}

// fail is for what would stop a test in the same words.
func (c *check) fail(d *diagnostics.Diagnosis) *check {
	c.Status, c.Diagnosis, c.Text = stopping, d, d.Problem
	return c
}

func setupDoctor(flags *flag.FlagSet) action {
	fix := flags.Bool("fix", false, "")
	asJSON := flags.Bool("json", false, "")
	dir := flags.String("C", "", "")
	return func(ctx context.Context, args []string, s streams) error {
		if err := noArguments("doctor", args); err != nil {
			return err
		}
		if err := chdir(*dir); err != nil {
			return err
		}
		e := examine(ctx, *fix)
		if *asJSON {
			if err := printJSON(s.out, e); err != nil {
				return err
			}
		} else {
			e.print(s)
		}
		if !e.OK {
			return failed(exitFailed)
		}
		return nil
	}
}

// examine makes all checks, one after the other: each takes milliseconds, and a
// file that is written while another check starts a process would be busy.
func examine(ctx context.Context, fix bool) *examination {
	e := &examination{OK: true}
	add := func(name string, look func(*check) *check) {
		c := look(&check{Name: name})
		e.OK = e.OK && c.Status != stopping
		e.Checks = append(e.Checks, c)
	}
	cfg, cfgErr := config.Load("")
	add("go", func(c *check) *check { return checkGo(ctx, c) })
	add("configuration", func(c *check) *check { return checkConfig(c, cfg, cfgErr) })
	if cfg == nil {
		cfg = config.Default()
	}
	add("ci", func(c *check) *check { return checkCI(c, cfg) })
	add("temporary files", func(c *check) *check { return checkTemp(ctx, c) })
	add("state", checkState)
	// Before there is a run that removes them.
	add("leftovers", func(c *check) *check { return checkLeftovers(c, fix) })
	add("node", func(c *check) *check { return checkNode(ctx, c, cfg) })
	add("addresses", func(c *check) *check { return checkAddresses(ctx, c, cfg) })
	add("limits", func(c *check) *check { return checkLimits(ctx, c, cfg) })
	add("processes", checkProc)
	add("network faults", func(c *check) *check { return checkFaults(c, cfg) })
	add("host", func(c *check) *check { return checkHost(ctx, c) })
	return e
}

// print writes the examination for people.
func (e *examination) print(s streams) {
	for _, c := range e.Checks {
		fmt.Fprintf(s.out, "%-5s %-16s %s\n", c.Status, c.Name, c.Text)
		details := c.Details
		if c.Diagnosis != nil {
			_, rest, _ := strings.Cut(c.Diagnosis.Error(), "\n")
			details = append(details, strings.Split(rest, "\n")...)
		}
		for _, line := range details {
			fmt.Fprintf(s.out, "      %s\n", line)
		}
	}
	if !e.OK {
		fmt.Fprintln(s.out, "\nclusters cannot be had here")
	}
}

// diagnose gathers the evidence and has it explained.
func diagnose(ctx context.Context, f diagnostics.Failure) *diagnostics.Diagnosis {
	diagnostics.Gather(ctx, &f)
	return diagnostics.Diagnose(f)
}

func checkGo(ctx context.Context, c *check) *check {
	path, err := exec.LookPath("go")
	if err == nil {
		var out []byte
		if out, err = exec.CommandContext(ctx, path, "env", "GOVERSION").Output(); err == nil {
			return c.ok("%s, %s", strings.TrimSpace(string(out)), path)
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
			err = errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
	}
	if path == "" {
		path = "go"
	}
	return c.fail(diagnose(ctx, diagnostics.Failure{Phase: diagnostics.PhaseExec, Op: "run the go command", Path: path, Err: err}))
}

func checkConfig(c *check, cfg *config.Config, err error) *check {
	if err != nil {
		return c.fail(diagnostics.Diagnose(diagnostics.Failure{Phase: diagnostics.PhaseConfig, Op: "read the configuration", Err: err}))
	}
	c.Details = cfg.Warnings
	text := cfg.File
	if text == "" {
		text = "no distributed.toml from here to the root of the module: defaults"
	}
	for _, s := range cfg.Settings() {
		if strings.HasPrefix(s.Source, "DIST_") {
			c.Details = append(c.Details, fmt.Sprintf("%s = %s, by %s", s.Key, s.Value, s.Source))
		}
	}
	if len(cfg.Warnings) > 0 {
		return c.warn("%s", text)
	}
	return c.ok("%s", text)
}

func checkCI(c *check, cfg *config.Config) *check {
	if cfg.CI == "" {
		return c.info("none detected")
	}
	most, source := cfg.MaxNodes()
	policy, why := cfg.Unavailable()
	c.Details = []string{
		fmt.Sprintf("at most %d nodes a cluster: %s", most, source),
		fmt.Sprintf("a cluster has %v to start and %v to stop", cfg.StartTimeout(), cfg.StopTimeout()),
		fmt.Sprintf("a test whose cluster cannot be had: %s, by %s", policy, why),
	}
	return c.info("%s", cfg.CI)
}

// checkTemp writes a file into each directory for temporary files and runs it:
// go test builds test binaries there, and nodes have their data there.
func checkTemp(ctx context.Context, c *check) *check {
	dirs := []string{os.TempDir()}
	if d := os.Getenv("GOTMPDIR"); d != "" && d != dirs[0] {
		dirs = append(dirs, d)
	}
	for _, d := range dirs {
		if diagnosis := tryTemp(ctx, d); diagnosis != nil {
			return c.fail(diagnosis)
		}
	}
	return c.ok("%s: written to and executed from", strings.Join(dirs, ", "))
}

func tryTemp(ctx context.Context, in string) *diagnostics.Diagnosis {
	wrong := func(phase diagnostics.Phase, op, path string, err error) *diagnostics.Diagnosis {
		return diagnose(ctx, diagnostics.Failure{Phase: phase, Op: op, Path: path, Err: err})
	}
	dir, err := os.MkdirTemp(in, "dist-doctor-")
	if err != nil {
		return wrong(diagnostics.PhasePrepare, "create a directory for a run", in, err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "run")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		return wrong(diagnostics.PhasePrepare, "write a file", file, err)
	}
	if _, err := os.Stat("/bin/sh"); err != nil {
		return nil
	}
	if err := exec.CommandContext(ctx, file).Run(); err != nil {
		return wrong(diagnostics.PhaseExec, "start what go test builds", file, err)
	}
	return nil
}

func checkState(c *check) *check {
	dir, err := process.StateDir()
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".doctor"); err == nil {
			f.Close()
			os.Remove(f.Name())
		}
	}
	if err != nil {
		return c.warn("no run can be entered, so that the next one cannot clean up after one that was killed with its reaper: %v; set XDG_CACHE_HOME or TMPDIR to a directory of this user", err)
	}
	st, err := os.Stat(dir)
	if err == nil && st.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return c.warn("%s has mode %v: chmod 700 it", dir, st.Mode().Perm())
	}
	return c.ok("%s", dir)
}

// checkNode starts a node in earnest: this executable again, as a test binary
// would, with its control channel, lifeline and reaper.
func checkNode(ctx context.Context, c *check, cfg *config.Config) *check {
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout())
	defer cancel()
	e := process.New()
	defer e.Close()
	begin := time.Now()
	n, err := e.Start(ctx, engine.Spec{Env: os.Environ()})
	if err != nil {
		f := diagnostics.Failure{Phase: diagnostics.PhaseExec, Op: "start a node", Err: err}
		if ee, ok := errors.AsType[*engine.Error](err); ok {
			f = ee.Failure
		}
		f.Limit, f.Elapsed = cfg.StartTimeout(), time.Since(begin)
		return c.fail(diagnose(ctx, f))
	}
	took := time.Since(begin)
	if err := n.Kill(); err != nil {
		return c.warn("pid %d answered after %v and could not be ended: %v", n.PID(), took.Round(100*time.Microsecond), err)
	}
	return c.ok("started and answered in %v", took.Round(100*time.Microsecond))
}

// checkAddresses takes addresses as a test would, and listens on them.
func checkAddresses(ctx context.Context, c *check, cfg *config.Config) *check {
	wrong := func(phase diagnostics.Phase, op, address string, err error) *check {
		return c.fail(diagnose(ctx, diagnostics.Failure{Phase: phase, Op: op, Address: address, Err: err}))
	}
	a, err := network.New(cfg.Network.Addresses, cfg.Network.Range)
	if err != nil {
		return wrong(diagnostics.PhaseConfig, "choose addresses", "", err)
	}
	defer a.Close()
	l, err := a.Lease(2, []string{"port"})
	if err != nil {
		return wrong(diagnostics.PhasePrepare, "find free addresses", "", err)
	}
	defer l.Release()
	var addrs []string
	for i := range 2 {
		addr := l.Addr(i, "port")
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return wrong(diagnostics.PhasePrepare, "listen as a node would", addr, err)
		}
		ln.Close()
		addrs = append(addrs, addr)
	}
	how := "an address for each node"
	if a.Mode() == network.Ports {
		how = "a port for each node"
	}
	return c.ok("%s: %s", how, strings.Join(addrs, ", "))
}

// checkLimits says how large a cluster can be, and whether a limit is reached.
func checkLimits(ctx context.Context, c *check, cfg *config.Config) *check {
	limits, missing := diagnostics.Survey(ctx)
	for _, l := range limits {
		c.Details = append(c.Details, l.String())
		if d := l.UsedUp("start a node"); d != nil {
			return c.fail(d)
		}
	}
	for _, m := range missing {
		c.Details = append(c.Details, "not measured: "+m)
	}
	most := manager.AtOnce(cfg)
	text := fmt.Sprintf("at most %d nodes at once, of all tests: %s", most.Nodes, most.Source)
	users, err := allowance.Users()
	if err != nil {
		c.Details = append([]string{text}, c.Details...)
		return c.warn("how many nodes run at once is not limited here: %v", err)
	}
	used := 0
	for _, u := range users {
		used += u.Nodes + u.Kept
	}
	c.Details = append([]string{fmt.Sprintf("%s; %d are in use", text, used)}, c.Details...)
	if l := largest(cfg); l != nil {
		text = fmt.Sprintf("at most %d nodes a cluster: %s", l.Nodes, l.Source)
	}
	return c.ok("%s", text)
}

// largest is the size of the largest cluster that a test may have: what is
// refused for its size names it. nil where no test has one.
func largest(cfg *config.Config) *limit {
	d := manager.New(nil, os.Environ).Decide(manager.Request{
		Requirement: requirement.Requirement{Nodes: requirement.MaxNodes + 1}, Config: cfg,
	})
	if d.Limit.Nodes == 0 {
		return nil
	}
	return &limit{d.Limit.Nodes, d.Limit.Source}
}

// checkProc looks at what finding processes that left their groups takes.
func checkProc(c *check) *check {
	if runtime.GOOS != "linux" {
		return c.warn("what leaves its node's process group is not found on %s", runtime.GOOS)
	}
	if _, err := os.ReadFile("/proc/self/environ"); err != nil {
		return c.warn("/proc cannot be read: what leaves its node's process group is not found, and who holds an address not told: %v", err)
	}
	if os.Getpid() == 1 || os.Getppid() == 1 {
		return c.ok("/proc is there; process 1 of this container is at most one step away: it should reap what is orphaned (docker run --init)")
	}
	return c.ok("/proc is there")
}

func checkHost(ctx context.Context, c *check) *check {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	resolve := func(name string) string {
		addrs, err := net.DefaultResolver.LookupHost(ctx, name)
		if err != nil {
			return fmt.Sprintf("%s does not resolve: %v", name, err)
		}
		return fmt.Sprintf("%s is %s", name, strings.Join(addrs, ", "))
	}
	c.Details = []string{resolve("localhost")}
	if name, err := os.Hostname(); err == nil {
		c.Details = append(c.Details, resolve(name))
	}
	c.Details = append(c.Details, "nodes are addressed by number: no name has to resolve")
	return c.info("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().Format(time.RFC3339))
}

func checkLeftovers(c *check, fix bool) *check {
	found, err := findLeftovers()
	if err != nil && len(found) == 0 {
		return c.info("could not be looked for: %v", err)
	}
	if len(found) == 0 {
		return c.ok("none")
	}
	if !fix {
		for _, l := range found {
			c.Details = append(c.Details, fmt.Sprintf("%s, %s", l, kindWords[l.Kind]))
		}
		return c.warn("%d: dist clean, or -fix, removes them", len(found))
	}
	done := removeAll(found)
	for _, l := range done.Removed {
		c.Details = append(c.Details, fmt.Sprintf("removed %s, %s", l, kindWords[l.Kind]))
	}
	for _, l := range done.Failed {
		c.Details = append(c.Details, fmt.Sprintf("could not remove %s: %s", l, l.Error))
	}
	if len(done.Failed) > 0 {
		return c.warn("%d removed, %d could not be", len(done.Removed), len(done.Failed))
	}
	return c.ok("%d removed", len(done.Removed))
}
