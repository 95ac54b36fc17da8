package analyzer

import (
	"flag"
	"fmt"
	"go/format"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

var record = flag.Bool("record", false, "write what the tests found to be what they want")

var testdata = func() string {
	dir, err := filepath.Abs("../testdata")
	if err != nil {
		panic(err)
	}
	return dir
}()

// results runs the analyzer over the packages without asking for bootstraps,
// and returns what it found by import path; of a package and its variant with
// test files, the latter.
func results(t *testing.T, packages ...string) map[string]*Result {
	t.Helper()
	withoutBootstraps(t)
	found := make(map[string]*Result)
	for _, r := range analysistest.Run(t, testdata, Analyzer, packages...) {
		result, ok := r.Result.(*Result)
		if !ok {
			t.Fatalf("%s: the result is a %T", r.Action.Package.ID, r.Result)
		}
		if old := found[result.Plan.Package]; old == nil || len(r.Pass.Files) > 0 && result.UsesDist {
			found[result.Plan.Package] = result
		}
	}
	return found
}

func withoutBootstraps(t *testing.T) {
	Analyzer.Flags.Set("bootstrap", "false")
	t.Cleanup(func() { Analyzer.Flags.Set("bootstrap", "true") })
}

// The table of those functions of package nemesis whose faults are of the network
// has all of the real one: those that get to a network fault of package dist.
func TestNetworkStrikes(t *testing.T) {
	withoutBootstraps(t)
	pkgs, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax}, distPath+"/nemesis")
	if err != nil || len(pkgs) != 1 || len(pkgs[0].Errors) > 0 {
		t.Fatalf("%v: %v", pkgs, err)
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{Analyzer}, pkgs, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := graph.Roots[0]
	if root.Err != nil {
		t.Fatal(root.Err)
	}
	var found, listed []string
	scope := pkgs[0].Types.Scope()
	for _, name := range scope.Names() {
		fn, ok := scope.Lookup(name).(*types.Func)
		if ok && fn.Exported() && root.ObjectFact(fn, new(networkFaults)) {
			found = append(found, name)
		}
		if ok && isNetworkFault(fn) {
			listed = append(listed, name)
		}
	}
	if want := slices.Sorted(maps.Keys(networkStrikes)); !slices.Equal(found, want) || !slices.Equal(listed, want) {
		t.Errorf("%v get to a network fault, and the table has %v, of which there are %v", found, want, listed)
	}
}

// golden compares got with the contents of the file, or records it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *record {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what was found (-record writes it):\n%s", path, got)
	}
}

// Each folder has the cases of one matter, and between them every finding.
func TestFindings(t *testing.T) {
	withoutBootstraps(t)
	seen := make(map[string]bool)
	note := func(results []*analysistest.Result) {
		for _, r := range results {
			for _, d := range r.Action.Diagnostics {
				seen[d.Category] = true
			}
		}
	}
	note(runWithFixes(t, "directives", "places", "defaults", "agreement", "misuse", "nodecalls", "crossing", "clusters", "nodeside",
		"quiet", "mains/none", "mains/fix", "mains/late", "mains/first", "mains/indirect", "mains/foreign", "mains/testutil", "mains/foreignlate", "mains/unused"))
	Analyzer.Flags.Set("bootstrap", "true")
	note(analysistest.Run(t, testdata, Analyzer, "bootstrap/missing", "bootstrap/stale", "bootstrap/nodigest", "bootstrap/unneeded", "bootstrap/othertag", "bootstrap/fresh"))

	for _, f := range Findings {
		if !seen[string(f.Code)] {
			t.Errorf("no case for %s", f.Code)
		}
		delete(seen, string(f.Code))
	}
	for category := range seen {
		t.Errorf("%s is not in the table of findings", category)
	}
}

// runWithFixes is analysistest.RunWithSuggestedFixes, which with -record first
// writes the golden files.
func runWithFixes(t *testing.T, packages ...string) []*analysistest.Result {
	if *record {
		for _, r := range analysistest.Run(t, testdata, Analyzer, packages...) {
			fset := r.Action.Package.Fset
			edits := make(map[string][]analysis.TextEdit)
			for _, d := range r.Action.Diagnostics {
				for _, fix := range d.SuggestedFixes {
					for _, e := range fix.TextEdits {
						name := fset.Position(e.Pos).Filename
						edits[name] = append(edits[name], e)
					}
				}
			}
			for name, edits := range edits {
				src, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				slices.SortStableFunc(edits, func(a, b analysis.TextEdit) int { return int(a.Pos - b.Pos) })
				for _, e := range slices.Backward(edits) {
					src = slices.Concat(src[:fset.Position(e.Pos).Offset], e.NewText, src[fset.Position(e.End).Offset:])
				}
				if src, err = format.Source(src); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name+".golden", src, 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return analysistest.RunWithSuggestedFixes(t, testdata, Analyzer, packages...)
}

func TestPlan(t *testing.T) {
	found := results(t, "plan", "helpers", "external", "clustertest")
	for _, test := range []struct{ pkg, golden string }{
		{"plan", "plan/plan.golden"},
		{"helpers", "helpers/plan.golden"},
		{"external_test", "external/plan.golden"},
		{"clustertest", "clustertest/plan.golden"},
	} {
		r := found[test.pkg]
		if r == nil {
			t.Errorf("no result for %s", test.pkg)
			continue
		}
		golden(t, filepath.Join(testdata, "src", test.golden), describe(r))
	}
}

// describe renders a result for comparison.
func describe(r *Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n", r.Plan.Package)
	fmt.Fprintf(&b, "uses dist: %t, own main: %t, at a position: %t\n", r.UsesDist, r.Plan.OwnMain, r.TestMain.IsValid())
	fmt.Fprintf(&b, "digest: %s\n", r.Plan.Digest) // a change makes every bootstrap in the world stale
	for i, t := range r.Tests {
		if p := r.Plan.Tests[i]; p.Name != t.Name || !p.Requirement.Equal(t.Requirement) {
			fmt.Fprintf(&b, "the plan says %v instead of\n", p)
		}
		fmt.Fprintf(&b, "%s: %s\n\t%s\n", t.Name, t.Requirement, t.Why)
		if t.Faults {
			b.WriteString("\twith network faults\n")
		}
	}
	for _, f := range r.Functions {
		fmt.Fprintf(&b, "func %s", f.key())
		if f.Constraint != "" {
			fmt.Fprintf(&b, " if %s", f.Constraint)
		}
		b.WriteString("\n")
	}
	return b.String()
}
