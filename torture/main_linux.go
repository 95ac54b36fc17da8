package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	length := flag.Duration("for", time.Minute, "how long")
	seed := flag.Uint64("seed", 0, "seed of the schedule; 0: another one each time")
	from := flag.Int("round", 0, "the first round; with -rounds 1 the only one")
	rounds := flag.Int("rounds", 0, "how many rounds; 0: as many as there is time for")
	only := flag.String("only", "", "this adversity alone: "+strings.Join(adversities, ", "))
	race := flag.Bool("race", false, "build what is run with -race")
	verbose := flag.Bool("v", false, "print the schedule of every round")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "torture: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	t := &torture{seed: *seed, from: *from, rounds: *rounds, length: *length, only: *only, race: *race, verbose: *verbose,
		printf: func(format string, args ...any) { fmt.Printf(format+"\n", args...) }}
	failed, err := t.run(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// A torture is a number of rounds.
type torture struct {
	seed          uint64
	from, rounds  int
	length        time.Duration
	only          string
	inTurn        []string // adversities, of which each round has the next; nil: at random
	race, verbose bool
	printf        func(format string, args ...any)
}

// run returns how many rounds found something.
func (t *torture) run(ctx context.Context) (failed int, err error) {
	dir, err := os.MkdirTemp("", "torture ")
	if err != nil {
		return 0, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	b, err := build(ctx, dir, t.race)
	if err != nil {
		os.RemoveAll(dir)
		return 0, err
	}
	begin := time.Now()
	count := make(map[string]int)
	for n := t.from; (t.rounds == 0 || n < t.from+t.rounds) && time.Since(begin) < t.length && ctx.Err() == nil; n++ {
		only := t.only
		if len(t.inTurn) > 0 {
			only = t.inTurn[n%len(t.inTurn)]
		}
		s := plan(t.seed, n, only)
		if t.verbose {
			t.printf("%s", s)
		}
		var log []string
		start := time.Now()
		wrong, kept, skipped := play(ctx, b, s, func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) })
		if ctx.Err() != nil {
			endMarked(kept)
			break
		}
		if skipped != "" {
			t.printf("round %d: %s is left out: %s", n, s.Adversity, skipped)
			continue
		}
		count[s.Adversity]++
		if t.verbose {
			t.printf("  %v %s", time.Since(start).Round(time.Millisecond), strings.Join(log, "; "))
		}
		if len(wrong) > 0 {
			failed++
			again := fmt.Sprintf("go run ./torture -seed %d -round %d -rounds 1", t.seed, n)
			if only != "" {
				again += " -only " + only
			}
			t.printf("round %d: %s\n  %s\n  %s\n  files: %s\n  again: %s", n, s, strings.Join(log, "\n  "), strings.Join(wrong, "\n  "), kept, again)
		}
	}
	t.printf("%v: %d rounds found something; seed %d; rounds by what was done: %v", time.Since(begin).Round(time.Second), failed, t.seed, count)
	if failed == 0 {
		os.RemoveAll(dir)
	}
	return failed, nil
}
