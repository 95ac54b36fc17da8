package main

import (
	"context"
	"flag"
	"fmt"
)

const cleanHelp = `usage: dist clean [-n] [-json]

Removes what test runs of this user have left behind: directories and processes
of runs that were killed together with all that would have cleaned up after them,
files of owners of clusters that were killed, and builds of programs that nobody
has used for a week. The next run would remove most of it, too.

Only what is provably dist's, this user's and dead is removed: each has a file
that is locked as long as its owner lives. Nothing goes by its name alone, and no
process by its number.

  -n       only say what would be removed
  -json    print one JSON object

Examples:

  dist clean -n
  dist clean

Exit status: 0, also if there was nothing; 1 if something could not be removed.
`

// cleaned is what dist clean prints. Its JSON form is documented in docs/dist.md.
type cleaned struct {
	Removed []*leftover `json:"removed"` // or would be, with -n
	Failed  []*leftover `json:"failed,omitempty"`
}

func setupClean(flags *flag.FlagSet) action {
	dry := flags.Bool("n", false, "")
	asJSON := flags.Bool("json", false, "")
	return func(_ context.Context, args []string, s streams) error {
		if err := noArguments("clean", args); err != nil {
			return err
		}
		found, err := findLeftovers()
		if err != nil {
			return fmt.Errorf("look for what is left over: %w", err)
		}
		c := cleaned{Removed: found}
		if !*dry {
			c = removeAll(found)
		}
		if *asJSON {
			if err := printJSON(s.out, c); err != nil {
				return err
			}
		} else {
			c.print(s, *dry)
		}
		if len(c.Failed) > 0 {
			return failed(exitFailed)
		}
		return nil
	}
}

// removeAll removes what is still nobody's.
func removeAll(found []*leftover) cleaned {
	c := cleaned{Removed: []*leftover{}}
	for _, l := range found {
		switch err := l.remove(); err {
		case nil:
			c.Removed = append(c.Removed, l)
		case errInUse:
		default:
			l.Error = err.Error()
			c.Failed = append(c.Failed, l)
		}
	}
	return c
}

func (c cleaned) print(s streams, dry bool) {
	verb := "removed"
	if dry {
		verb = "would remove"
	}
	for _, l := range c.Removed {
		fmt.Fprintf(s.out, "%s %s, %s\n", verb, l, kindWords[l.Kind])
	}
	for _, l := range c.Failed {
		fmt.Fprintf(s.err, "dist clean: %s: %s\n", l, l.Error)
	}
	if len(c.Removed)+len(c.Failed) == 0 {
		fmt.Fprintln(s.out, "nothing is left over")
	}
}
