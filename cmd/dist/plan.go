package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/manager"
)

const planHelp = `usage: dist plan [flags] [packages]

Shows which tests need clusters: what they need, where that is said, and what
would be done about it on this machine and with this configuration. No process
is started and nothing is written.

  -json         print one JSON object
  -explain      say which rule decides, and list the rules
  -short        decide as go test -short would
  -tags list    build with these tags, as go test does
  -C dir        change to dir first

Examples:

  dist plan ./...
  dist plan -explain ./raft
  DIST_CLUSTER_MAX_NODES=3 dist plan ./...

Exit status: 0, whatever would be decided; 1 if there are mistakes in the tests,
2 for usage and environment.
`

// A plan is what dist plan prints. Its JSON form is documented in docs/dist.md.
type plan struct {
	Limit   *limit        `json:"limit,omitempty"`    // the largest cluster that any test may have here
	CI      string        `json:"ci,omitempty"`       // the service that was detected
	CILimit *limit        `json:"ci_limit,omitempty"` // Limit under CI, where it is another and no service was detected
	Tests   []plannedTest `json:"tests"`

	warnings []string // about the configuration
	flat     bool     // no pattern has "...": folders below have not been looked into
}

type limit struct {
	Nodes  int    `json:"nodes"`
	Source string `json:"source"`
}

// A plannedTest is one requirement and the decision about it.
type plannedTest struct {
	Package  string   `json:"package"`
	Test     string   `json:"test"`
	Nodes    int      `json:"nodes"` // 0: as configured
	Min      int      `json:"min,omitempty"`
	Program  string   `json:"program,omitempty"`
	Ports    []string `json:"ports,omitempty"`
	Reuse    bool     `json:"reuse,omitempty"`
	Shared   bool     `json:"shared,omitempty"`
	Optional bool     `json:"optional,omitempty"`
	Timeout  string   `json:"timeout,omitempty"`
	Why      string   `json:"why"`
	At       string   `json:"at"` // file:line
	Decision decision `json:"decision"`

	// UnderCI is what would be decided in CI, where that is something else and no
	// service was detected.
	UnderCI *decision `json:"under_ci,omitempty"`

	words string // of the directive, but for nodes, min and program
}

type decision struct {
	Action string `json:"action"` // start | reuse | skip | fail
	Rule   string `json:"rule"`   // see manager.Rows
	Nodes  int    `json:"nodes,omitempty"`
	Reason string `json:"reason"`
	Code   string `json:"code,omitempty"` // of the diagnosis
}

func setupPlan(flags *flag.FlagSet) action {
	asJSON := flags.Bool("json", false, "")
	explain := flags.Bool("explain", false, "")
	short := flags.Bool("short", false, "")
	tags := flags.String("tags", "", "")
	dir := flags.String("C", "", "")
	return func(ctx context.Context, args []string, s streams) error {
		if err := chdir(*dir); err != nil {
			return err
		}
		return runPlan(ctx, generator.Options{Tags: *tags, Patterns: args}, *short, *asJSON, *explain, s)
	}
}

func runPlan(ctx context.Context, opts generator.Options, short, asJSON, explain bool, s streams) error {
	packages, mistakes := generator.Generate(ctx, opts)
	p, err := makePlan(packages, short)
	if err != nil {
		return err
	}
	for _, w := range p.warnings {
		fmt.Fprintf(s.err, "dist plan: %s\n", w)
	}
	if mistakes != nil && len(p.Tests) == 0 {
		return mistakes
	}
	if asJSON {
		err = printJSON(s.out, p)
	} else {
		p.flat = !slices.ContainsFunc(opts.Patterns, func(s string) bool { return strings.Contains(s, "...") })
		if err = p.print(s.out, explain); err != nil {
			err = fmt.Errorf("print the plan: %w", err)
		}
	}
	if err != nil {
		return err
	}
	return mistakes // of the packages that are not in the plan
}

// makePlan decides about each test as its own binary would.
func makePlan(packages []*generator.Package, short bool) (*plan, error) {
	p := &plan{Tests: []plannedTest{}}
	m := manager.New(nil, os.Environ) // to decide, it needs no engine
	lower := func(l, than *limit) *limit {
		if l == nil || than != nil && than.Nodes <= l.Nodes {
			return than
		}
		return l
	}
	for _, pkg := range packages {
		if len(pkg.Tests) == 0 {
			continue
		}
		cfg, err := config.Load(pkg.Dir)
		if err != nil {
			return nil, err
		}
		decide := func(r requirement.Requirement, cfg *config.Config) decision {
			d := m.Decide(manager.Request{Requirement: r, Config: cfg, Short: short})
			return decision{string(d.Action), d.Row, d.Nodes, d.Reason, string(d.Code)}
		}
		inCI := *cfg
		p.CI, inCI.CI = cfg.CI, "CI"
		for _, w := range cfg.Warnings {
			if !slices.Contains(p.warnings, w) {
				p.warnings = append(p.warnings, w)
			}
		}
		p.Limit, p.CILimit = lower(largest(cfg), p.Limit), lower(largest(&inCI), p.CILimit)
		for _, t := range pkg.Tests {
			pt := planned(t, decide(t.Requirement, cfg))
			if d := decide(t.Requirement, &inCI); d.Action != pt.Decision.Action || d.Nodes != pt.Decision.Nodes {
				pt.UnderCI = &d
			}
			p.Tests = append(p.Tests, pt)
		}
	}
	if p.CI != "" || p.Limit != nil && p.CILimit != nil && p.CILimit.Nodes == p.Limit.Nodes {
		p.CILimit = nil
	}
	return p, nil
}

func planned(t generator.Test, d decision) plannedTest {
	r := t.Requirement
	pt := plannedTest{
		Package: t.Package, Test: t.Name,
		Nodes: r.Nodes, Min: r.Min, Program: r.Program, Ports: r.Ports,
		Reuse: r.Reuse, Shared: r.Shared, Optional: r.Optional,
		Why: t.Why, At: t.Pos.Filename + ":" + strconv.Itoa(t.Pos.Line),
		Decision: d,
	}
	if r.Timeout != 0 {
		pt.Timeout = r.Timeout.String()
	}
	r.Nodes, r.Min, r.Program = 0, 0, ""
	pt.words = r.String()
	return pt
}

// print writes the plan for people.
func (p *plan) print(w io.Writer, explain bool) error {
	if len(p.Tests) == 0 {
		text := "no test here needs a cluster"
		if p.flat {
			text += "; dist plan ./... looks into the folders below, too"
		}
		_, err := fmt.Fprintln(w, text)
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, c := range cells {
			if c == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	head := []string{"PACKAGE", "TEST", "NODES", "MIN", "PROGRAM", "OTHER", "AT", "WHY", "DECISION"}
	otherwise := slices.ContainsFunc(p.Tests, func(t plannedTest) bool { return t.UnderCI != nil })
	if explain {
		head = append(head, "RULE")
	}
	if otherwise {
		head = append(head, "UNDER CI")
	}
	row(head...)
	for _, t := range p.Tests {
		cells := []string{t.Package, t.Test, number(t.Nodes), number(t.Min), t.Program, t.words, t.At, t.Why, t.Decision.Action + ": " + t.Decision.Reason}
		if explain {
			cells = append(cells, t.Decision.Rule)
		}
		switch {
		case t.UnderCI != nil:
			cells = append(cells, t.UnderCI.Action+": "+t.UnderCI.Reason)
		case otherwise:
			cells = append(cells, "")
		}
		row(cells...)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if p.Limit != nil {
		fmt.Fprintf(w, "\nAt most %d nodes a cluster: %s\n", p.Limit.Nodes, p.Limit.Source)
	}
	if p.CILimit != nil {
		fmt.Fprintf(w, "Under CI at most %d: %s\n", p.CILimit.Nodes, p.CILimit.Source)
	}
	if explain {
		fmt.Fprintln(w, "\nThe first rule that applies decides:")
		rules := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, r := range manager.Rows {
			applied := slices.ContainsFunc(p.Tests, func(t plannedTest) bool { return t.Decision.Rule == r.Name })
			mark := " "
			if applied {
				mark = "*"
			}
			fmt.Fprintf(rules, "%s %s\t%s\n", mark, r.Name, r.Doc)
		}
		return rules.Flush()
	}
	return nil
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
