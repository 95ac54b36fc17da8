package diagnostics

import (
	"context"
	"fmt"
	"time"
)

// maxGather bounds how long evidence is looked for: a diagnosis that comes late
// is worse than one with a gap.
const maxGather = 500 * time.Millisecond

// A probe measures one thing. What it returns sets the facts; it runs in a
// goroutine of its own and must not touch them itself.
type probe struct {
	name string
	run  func(ctx context.Context) (set func(*Facts), err error)
}

// Gather measures what bears on f and adds it to f.Facts. It takes half a
// second at most, less if ctx ends, and never fails: what could not be learnt
// is in Facts.Missing. It changes nothing of f but Facts.
//
// A probe that hangs, in the stat of a dead network file system, say, is left
// behind: its goroutine ends when the system lets go of it.
func Gather(ctx context.Context, f *Failure) {
	// Often it is the end of ctx that failed: evidence is wanted all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxGather)
	defer cancel()
	gather(ctx, &f.Facts, probes(f))
}

func gather(ctx context.Context, facts *Facts, ps []probe) {
	type result struct {
		i   int
		set func(*Facts)
		err error
	}
	results := make(chan result, len(ps))
	for i, p := range ps {
		go func() {
			r := result{i: i}
			defer func() {
				if v := recover(); v != nil {
					r.set, r.err = nil, fmt.Errorf("panic: %v", v)
				}
				results <- r
			}()
			r.set, r.err = p.run(ctx)
		}()
	}
	got := make([]*result, len(ps))
wait:
	for range ps {
		select {
		case r := <-results:
			got[r.i] = &r
		case <-ctx.Done():
			break wait
		}
	}
	// In the order of the probes, so that equal machines give equal texts.
	for i, r := range got {
		switch {
		case r == nil:
			facts.Missing = append(facts.Missing, ps[i].name+": took too long")
		case r.err != nil:
			facts.Missing = append(facts.Missing, ps[i].name+": "+r.err.Error())
		}
		if r != nil && r.set != nil {
			r.set(facts)
		}
	}
}
