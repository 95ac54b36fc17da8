package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

const psHelp = `usage: dist ps [-json]

Shows the clusters of programs that are up on this machine and that tests may
lease: those of dist up, which stay until dist down or their idle limit, and
those of a dist test that runs. For each, its owner, its age, who has it and who
waits for it, and its nodes with their addresses.

  -json    print a JSON array

Examples:

  dist ps
  dist ps -json | jq -r '.[] | select(.program == "etcd") | .nodes[].addr.client'

Exit status: 0, also if no cluster is up.
`

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
		if *asJSON {
			return printJSON(s.out, v.clusters)
		}
		if len(v.clusters) == 0 {
			fmt.Fprintln(s.out, "no cluster is up")
			return nil
		}
		for i, c := range v.clusters {
			if i > 0 {
				fmt.Fprintln(s.out)
			}
			if err := c.print(s.out, time.Now()); err != nil {
				return fmt.Errorf("print the clusters: %w", err)
			}
		}
		return nil
	}
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
