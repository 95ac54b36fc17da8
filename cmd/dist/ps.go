package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/distkit/dist/runtime/manager/allowance"
)

const psHelp = `usage: dist ps [-json]

Shows the clusters of programs that are up on this machine and that tests may
lease: those of dist up, which stay until dist down or their idle limit, and
those of a dist test that runs. For each, its owner, its age, who has it and who
waits for it, and its nodes with their addresses. Then the test binaries that have
nodes of their own, or wait for room.

  -json    print one JSON object

Examples:

  dist ps
  dist ps -json | jq -r '.clusters[] | select(.program == "etcd") | .nodes[].addr.client'

Exit status: 0, also if no cluster is up.
`

// A listing is what dist ps prints. Its JSON form is documented in docs/dist.md.
type listing struct {
	Clusters []owned          `json:"clusters"`
	Tests    []allowance.User `json:"tests"` // test binaries
}

func setupPs(flags *flag.FlagSet) action {
	asJSON := flags.Bool("json", false, "")
	return func(ctx context.Context, args []string, s streams) error {
		if err := noArguments("ps", args); err != nil {
			return err
		}
		v, err := lookAround(ctx)
		if err != nil {
			return err
		}
		defer v.close()
		v.tell("ps", s.err)
		l := listing{v.clusters, []allowance.User{}}
		users, err := allowance.Users()
		if err != nil {
			fmt.Fprintf(s.err, "dist ps: what test binaries have is not known: %v\n", err)
		}
		for _, u := range users {
			if u.Nodes+u.Spare+u.Wants > 0 { // kept ones are among the clusters
				l.Tests = append(l.Tests, u)
			}
		}
		if *asJSON {
			return printJSON(s.out, l)
		}
		if err := l.print(s.out, time.Now()); err != nil {
			return fmt.Errorf("print the clusters: %w", err)
		}
		return nil
	}
}

func (l *listing) print(w io.Writer, now time.Time) error {
	for i, c := range l.Clusters {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := c.print(w, now); err != nil {
			return err
		}
	}
	if len(l.Clusters) == 0 {
		if _, err := fmt.Fprintln(w, "no cluster is up"); err != nil {
			return err
		}
	}
	if len(l.Tests) > 0 {
		fmt.Fprintln(w)
	}
	for _, u := range l.Tests {
		if err := printUser(w, u, now); err != nil {
			return err
		}
	}
	return nil
}

// printUser writes a line about a test binary.
func printUser(w io.Writer, u allowance.User, now time.Time) error {
	var parts []string
	if u.Nodes > 0 {
		parts = append(parts, fmt.Sprintf("%s for %v, %s", plural(u.Nodes, "node"), age(now.Sub(u.Since)), u.Test))
	}
	if u.Spare > 0 {
		parts = append(parts, fmt.Sprintf("%d spare", u.Spare))
	}
	if u.Wants > 0 {
		who := ""
		if u.Nodes == 0 {
			who = ", " + u.Test
		}
		parts = append(parts, fmt.Sprintf("waits for room for %s%s", plural(u.Wants, "node"), who))
	}
	_, err := fmt.Fprintf(w, "%s (pid %d): %s\n", u.Name, u.PID, strings.Join(parts, "; "))
	return err
}

// print writes a cluster and its nodes, a line each.
func (c *owned) print(w io.Writer, now time.Time) error {
	kept := ""
	if c.Owner.Kept {
		kept = ", kept"
	}
	fmt.Fprintf(w, "%s: %s of %s, up for %v, by %s (pid %d%s)\n", c.ID, plural(len(c.Nodes), "node"), c.Program,
		age(now.Sub(c.Started)), c.Owner.Kind, c.Owner.PID, kept)
	for _, l := range c.Leases {
		how := ""
		if l.Shared {
			how = ", shared"
		}
		fmt.Fprintf(w, "  leased to %s for %v%s\n", l.Who, age(now.Sub(l.Since)), how)
	}
	for _, who := range c.Waiting {
		fmt.Fprintf(w, "  waited for by %s\n", who)
	}
	return c.printNodes(w)
}

// printNodes writes a line a node.
func (c *owned) printNodes(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, n := range c.Nodes {
		state := fmt.Sprintf("pid %d", n.PID)
		switch {
		case n.PID == 0:
			state = "starting"
		case !n.Up:
			state = "down: " + n.Reason
		case n.Paused:
			state += ", paused"
		}
		cells := []string{"  " + n.Name, state}
		if len(n.Addr) > 0 {
			cells = append(cells, strings.Join(addresses(n), " "))
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// age is a duration as precise as anybody wants to know.
func age(d time.Duration) time.Duration {
	if d < time.Second {
		return max(d, 0).Round(time.Millisecond)
	}
	return d.Round(time.Second)
}
