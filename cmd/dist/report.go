package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2/maybe"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/report"
	"github.com/distkit/dist/runtime/artifacts"
	"github.com/distkit/dist/runtime/events"
)

const reportHelp = `usage: dist report [flags] [run directory | package]

Draws what happened in a run: a page with a lane for every node, calls, faults,
crashes and log lines on one time axis, the first failure in front with what led
to it. The page is one file that asks for nothing else.

Without an argument it is the newest run that was kept; with a package, the newest
of that. Runs are kept where tests failed, or as [artifacts] of distributed.toml
says. The page goes into the run's directory, and its name is printed.

Where several packages failed in one dist test, or go test, each has a run of its
own: the others are named, and -all draws all of them.

  -all      a page for each run of the newest dist test or go test
  -o file   write the page there instead; - is standard output
  -open     show it in a browser, if there is a display
  -json     print what failed, and what led to it, as one JSON object; writes a
            page only with -o
  -C dir    change to dir first: it decides which distributed.toml is read

Examples:

  dist report
  dist report -open ./raft
  dist report -all
  dist report -o failure.html ~/.cache/dist/artifacts/dist-20260102-030405-example.com_raft-1234

Exit status: 0, whatever the tests did; 1 if no such run was kept, 2 for usage
and environment.
`

// reportName is the page's file in the directory of a run.
const reportName = "report.html"

// A keptRun is one whose events were kept.
type keptRun struct {
	dir  string
	file string // of the events
	pkg  string
	at   time.Time // when the events were last written

	within string    // the dist test or go test that it is a part of; "" if it is not known
	start  time.Time // zero if it is not known
}

func setupReport(flags *flag.FlagSet) action {
	out := flags.String("o", "", "")
	show := flags.Bool("open", false, "")
	asJSON := flags.Bool("json", false, "")
	all := flags.Bool("all", false, "")
	dir := flags.String("C", "", "")
	return func(ctx context.Context, args []string, s streams) error {
		if len(args) > 1 {
			return noArguments("report", args[1:])
		}
		if *show && *out == "-" {
			return errors.New("-open needs a file, and -o - is none (dist help report)")
		}
		if *all && (len(args) > 0 || *out != "" || *asJSON) {
			return errors.New("-all writes a page for each run: with -o, -json or an argument it is one (dist help report)")
		}
		if err := chdir(*dir); err != nil {
			return err
		}
		r, others, err := chooseRun(ctx, append(args, "")[0])
		var none nothingKept
		if errors.As(err, &none) {
			fmt.Fprintf(s.err, "dist report: %v\n", err)
			return failed(exitFailed)
		}
		if err != nil {
			return err
		}
		if !*all {
			return runReport(r, others, *out, *show, *asJSON, s)
		}
		for _, o := range append(others, r) { // the newest last, where a terminal ends
			if err := runReport(o, nil, "", *show, false, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// reported is what dist report -json prints. Its form is documented in
// docs/report.md.
type reported struct {
	Dir    string        `json:"dir"`
	Events string        `json:"events"` // the file
	Page   string        `json:"page,omitempty"`
	Run    *report.Run   `json:"run"`
	Tests  []report.Test `json:"tests"`
	Others []otherRun    `json:"others,omitempty"` // kept of the same dist test or go test
}

// An otherRun is that of another package.
type otherRun struct {
	Package string `json:"package"`
	Dir     string `json:"dir"`
}

// together finds the runs of the same dist test or go test, the oldest first. A
// process id is another's after a while.
func (r *keptRun) together(runs []*keptRun) (others []*keptRun) {
	const most = 12 * time.Hour
	for _, o := range runs {
		if o != r && r.within != "" && o.within == r.within && o.start.Sub(r.start).Abs() < most {
			others = append(others, o)
		}
	}
	slices.Reverse(others)
	return others
}

func runReport(r *keptRun, others []*keptRun, out string, show, asJSON bool, s streams) error {
	f, err := os.Open(r.file)
	if err != nil {
		return err
	}
	run, err := report.Read(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	a := report.Analyze(run)
	page := out
	if page == "" && (!asJSON || show) {
		page = filepath.Join(r.dir, reportName)
	}
	switch page {
	case "":
	case "-":
		if asJSON {
			return errors.New("-json and -o - both go to standard output (dist help report)")
		}
		return report.Write(s.out, run, r.dir)
	default:
		if err := writePage(page, run, r.dir); err != nil {
			return err
		}
	}
	if asJSON {
		found := reported{Dir: r.dir, Events: r.file, Page: page, Run: run, Tests: a.Tests}
		for _, o := range others {
			found.Others = append(found.Others, otherRun{o.pkg, o.dir})
		}
		if found.Tests == nil {
			found.Tests = []report.Test{}
		}
		if err := printJSON(s.out, found); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(s.err, "dist report:", summaryOf(run, a))
		fmt.Fprintln(s.out, page)
		if len(others) > 0 {
			fmt.Fprintln(s.err, "dist report: kept of the same run of tests, too (dist report -all draws all):")
			for _, o := range others {
				fmt.Fprintf(s.err, "    dist report %s\n", cmp.Or(o.pkg, o.dir))
			}
		}
	}
	if show {
		return openPage(page)
	}
	return nil
}

// writePage puts the page where it belongs, whole or not at all.
func writePage(name string, run *report.Run, dir string) error {
	var b bytes.Buffer
	if err := report.Write(&b, run, dir); err != nil {
		return err
	}
	if err := maybe.WriteFile(name, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the page: %w; -o names another place", err)
	}
	return nil
}

// summaryOf is the run in a line.
func summaryOf(run *report.Run, a *report.Analysis) string {
	failed, first := 0, ""
	for i := range a.Tests {
		t := &a.Tests[i]
		if t.Outcome != "failed" && t.Outcome != "unfinished" {
			continue
		}
		failed++
		if first == "" && len(t.Failures) > 0 {
			first = fmt.Sprintf("; first in %s: %s", t.Name, t.Failures[0].Summary)
		}
	}
	tests := fmt.Sprintf("%d tests", len(a.Tests))
	if len(a.Tests) == 1 {
		tests = "1 test"
	}
	return fmt.Sprintf("%s, %s with clusters, %d failed%s", cmp.Or(run.Package, "a run"), tests, failed, first)
}

// nothingKept is why there is no run to be shown.
type nothingKept string

func (n nothingKept) Error() string { return string(n) }

// chooseRun finds the run that is meant: a directory, a file, a package, or the
// newest of all, with those that belong to it.
func chooseRun(ctx context.Context, arg string) (r *keptRun, others []*keptRun, err error) {
	if arg != "" {
		if r, err := runAt(arg); r != nil || err != nil {
			return r, nil, err
		}
	}
	cfg, err := config.Load(".")
	if err != nil {
		return nil, nil, err
	}
	base, err := artifacts.Base(cfg.Artifacts.Dir)
	if err != nil {
		return nil, nil, err
	}
	runs, err := keptRuns(base)
	if err != nil {
		return nil, nil, err
	}
	if len(runs) == 0 {
		if cfg.Artifacts.Keep == "never" {
			return nil, nil, nothingKept(`nothing is kept: keep = "never" in [artifacts]; DIST_ARTIFACTS_KEEP=failed dist test keeps what fails`)
		}
		return nil, nil, nothingKept(fmt.Sprintf("nothing kept yet: no run in %s has events; tests that fail leave them there, and with DIST_ARTIFACTS_KEEP=always all do", base))
	}
	if arg == "" {
		return runs[0], runs[0].together(runs), nil
	}
	for _, r := range runs {
		if filepath.Base(r.dir) == arg {
			return r, nil, nil
		}
	}
	wanted, err := packagesOf(ctx, arg)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range runs {
		if wanted(r.pkg) {
			return r, nil, nil
		}
	}
	return nil, nil, nothingKept(fmt.Sprintf("no run of %s was kept in %s, only of %s; tests that fail leave theirs there, and with DIST_ARTIFACTS_KEEP=always all do",
		arg, base, strings.Join(packagesIn(runs), ", ")))
}

// runAt is the run in a directory, or of a file; nil where it is something else.
func runAt(name string) (*keptRun, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil // a package, perhaps
	}
	dir, file := name, filepath.Join(name, events.FileName)
	if !info.IsDir() {
		dir, file = filepath.Dir(name), name
	} else if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if filepath.IsAbs(name) && !hasGoFiles(name) {
			return nil, nothingKept(fmt.Sprintf("%s has no %s: the directory of a run is wanted, or a package", name, events.FileName))
		}
		return nil, nil
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if file, err = filepath.Abs(file); err != nil {
		return nil, err
	}
	return &keptRun{dir: dir, file: file}, nil
}

func hasGoFiles(dir string) bool {
	names, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	return len(names) > 0
}

// keptRuns are those below base that have events, the one whose events were
// written last first: pages and other files may be added later.
func keptRuns(base string) ([]*keptRun, error) {
	all, err := artifacts.Runs(base)
	if err != nil {
		return nil, err
	}
	var runs []*keptRun
	for _, kept := range all {
		if kept.Events == "" {
			continue
		}
		f, err := os.Open(kept.Events)
		if err != nil {
			continue // it is being removed
		}
		r := &keptRun{dir: kept.Dir, file: kept.Events}
		if info, err := f.Stat(); err == nil {
			r.at = info.ModTime()
		}
		if h, err := report.ReadHeader(f); err == nil {
			r.pkg, r.within = h.Package, h.Within
			r.start, _ = time.Parse(time.RFC3339, h.Start)
		}
		f.Close()
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b *keptRun) int {
		return cmp.Or(b.at.Compare(a.at), strings.Compare(b.dir, a.dir))
	})
	return runs, nil
}

// relative tells patterns that only the go command can resolve.
var relative = regexp.MustCompile(`^\.\.?([/\\]|$)|\.\.\.`)

// packagesOf tells the packages that are meant. One may be named by the end of
// its path.
func packagesOf(ctx context.Context, arg string) (func(pkg string) bool, error) {
	if !relative.MatchString(arg) && !filepath.IsAbs(arg) {
		return func(pkg string) bool { return pkg == arg || strings.HasSuffix(pkg, "/"+arg) }, nil
	}
	list := exec.CommandContext(ctx, "go", "list", "-e", "-find", "-f", "{{.ImportPath}}", "--", arg)
	var stderr bytes.Buffer
	list.Stderr = &stderr
	b, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w: %s", arg, err, bytes.TrimSpace(stderr.Bytes()))
	}
	paths := strings.Fields(string(b))
	return func(pkg string) bool { return slices.Contains(paths, pkg) }, nil
}

func packagesIn(runs []*keptRun) []string {
	var names []string
	for _, r := range runs {
		names = append(names, cmp.Or(r.pkg, filepath.Base(r.dir)))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// reportedPackages are those of which runs were kept.
func reportedPackages() []string {
	cfg, err := config.Load(".")
	if err != nil {
		return nothing()
	}
	base, err := artifacts.Base(cfg.Artifacts.Dir)
	if err != nil {
		return nothing()
	}
	runs, err := keptRuns(base)
	if err != nil || len(runs) == 0 {
		return nothing()
	}
	return packagesIn(runs)
}

// openPage hands the page to the browser of the desktop.
func openPage(page string) error {
	open := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		open = "open"
	case runtime.GOOS == "windows":
		open = "explorer"
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return fmt.Errorf("-open: there is no display here; open %s where there is one", page)
	}
	if err := exec.Command(open, page).Start(); err != nil {
		return fmt.Errorf("-open: %w; open %s by hand", err, page)
	}
	return nil
}
