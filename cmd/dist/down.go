package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/distkit/dist/runtime/manager/keeper"
)

const downHelp = `usage: dist down [-force] [-json] cluster ...
       dist down -all [-force] [-json]

Ends clusters that dist up keeps: by their ids, by the names of their programs,
or all. A cluster that a test has or waits for is left alone.

  -all      all clusters of this user that are kept
  -force    end them whoever has them
  -json     print one JSON array

Clusters of a dist test that runs end with it, and are ended here only by their
ids and with -force.

Examples:

  dist down etcd
  dist down -all

Exit status: 0; 1 if there is no such cluster, or it is left alone; 2 for usage.
`

func setupDown(flags *flag.FlagSet) action {
	all := flags.Bool("all", false, "")
	force := flags.Bool("force", false, "")
	asJSON := flags.Bool("json", false, "")
	return func(ctx context.Context, args []string, s streams) error {
		switch {
		case !*all && len(args) == 0:
			return errors.New("which cluster? name an id or a program, or say -all (dist ps shows what is up)")
		case *all && len(args) > 0:
			return fmt.Errorf("-all and %q: it is the one or the other", args[0])
		}
		v, err := lookAround(ctx)
		if err != nil {
			return err
		}
		defer v.close()
		v.tell("down", s.err)
		chosen, wrong := v.choose(args, *force)
		for _, w := range wrong {
			fmt.Fprintf(s.err, "dist down: %s\n", w)
		}
		ended, err := down(ctx, chosen, *force)
		if err != nil {
			return err
		}
		left := len(wrong) > 0
		for _, e := range ended {
			left = left || e.Refused != ""
		}
		if *asJSON {
			if err := printJSON(s.out, ended); err != nil {
				return err
			}
		} else {
			for _, e := range ended {
				if e.Refused != "" {
					fmt.Fprintf(s.err, "dist down: %s is left alone: %s (-force ends it all the same)\n", e.Cluster, e.Refused)
				} else {
					fmt.Fprintf(s.out, "ended %s\n", e.Cluster)
				}
			}
			if *all && len(ended) == 0 {
				fmt.Fprintln(s.out, "no cluster is kept")
			}
		}
		if left {
			return failed(exitFailed)
		}
		return nil
	}
}

// choose finds the clusters that are meant; all that are kept if no name is given.
func (v *survey) choose(names []string, force bool) (chosen []owned, wrong []string) {
	if len(names) == 0 {
		for _, c := range v.clusters {
			if c.Owner.Kept {
				chosen = append(chosen, c)
			}
		}
		return chosen, nil
	}
	seen := make(map[string]bool)
	for _, name := range names {
		found := v.named(name)
		if len(found) == 0 {
			wrong = append(wrong, fmt.Sprintf("no cluster %q is up (dist ps shows what is)", name))
		}
		for _, c := range found {
			switch {
			case seen[c.ID]:
			case !c.Owner.Kept && !(force && c.ID == name):
				wrong = append(wrong, fmt.Sprintf("%s is not kept: it ends with its %s (pid %d)", c.ID, c.Owner.Kind, c.Owner.PID))
			default:
				chosen = append(chosen, c)
			}
			seen[c.ID] = true
		}
	}
	return chosen, wrong
}

// farewell is how long an owner may take to end after its last cluster has.
const farewell = 10 * time.Second

// down ends clusters, and waits for owners that end with them.
func down(ctx context.Context, chosen []owned, force bool) ([]keeper.Ended, error) {
	byOwner := make(map[*keeper.Client][]string)
	var order []*keeper.Client
	for _, c := range chosen {
		if byOwner[c.client] == nil {
			order = append(order, c.client)
		}
		byOwner[c.client] = append(byOwner[c.client], c.ID)
	}
	ended := []keeper.Ended{}
	for _, c := range order {
		done, err := c.Down(ctx, byOwner[c], force)
		ended = append(ended, done...)
		if err != nil {
			return ended, explain(err)
		}
		if rest, err := c.Clusters(ctx); err == nil && len(rest) > 0 || !c.Record().Open {
			continue
		}
		select {
		case <-c.Done():
		case <-ctx.Done():
			return ended, ctx.Err()
		case <-time.After(farewell):
		}
	}
	return ended, nil
}
