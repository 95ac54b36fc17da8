// Package work is what each of the peers has to do, and how it is measured.
package work

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Env says how often a small call is made in one round.
const Env = "PEERS_CALLS"

// Nodes is how many processes are started.
const Nodes = 3

// Mark begins the line on standard output that carries a Result.
const Mark = "peers "

// A Result is one round, in nanoseconds.
type Result struct {
	Start   float64 // from the first thing done until three processes have answered a call
	Small   float64 // round trip of 64 bytes, median
	Large   float64 // of 1 MiB, median
	Callers float64 // time per call of 64 bytes, by 64 at once
}

// Measure makes the calls of a round by an echo in another process, and prints
// the Result.
func Measure(started time.Duration, echo func([]byte) ([]byte, error)) error {
	calls, err := strconv.Atoi(os.Getenv(Env))
	if err != nil {
		return fmt.Errorf("%s: %w", Env, err)
	}
	r := Result{Start: float64(started)}
	small, large := bytes.Repeat([]byte{'x'}, 64), bytes.Repeat([]byte{'x'}, 1<<20)
	if r.Small, err = median(calls, small, echo); err != nil {
		return err
	}
	if r.Large, err = median(max(calls/20, 5), large, echo); err != nil {
		return err
	}
	const callers = 64
	errs := make(chan error, callers)
	var wg sync.WaitGroup
	begin := time.Now()
	for range callers {
		wg.Go(func() {
			for range calls / 8 {
				if _, err := echo(small); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	r.Callers = float64(time.Since(begin)) / float64(callers*(calls/8))
	select {
	case err := <-errs:
		return err
	default:
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s%s\n", Mark, line)
	return err
}

func median(n int, arg []byte, echo func([]byte) ([]byte, error)) (float64, error) {
	for range max(n/10, 2) { // what is done once is not asked for
		if _, err := echo(arg); err != nil {
			return 0, err
		}
	}
	times := make([]float64, n)
	for i := range times {
		begin := time.Now()
		got, err := echo(arg)
		times[i] = float64(time.Since(begin))
		if err != nil || len(got) != len(arg) {
			return 0, fmt.Errorf("an echo of %d bytes has %d: %v", len(arg), len(got), err)
		}
	}
	slices.Sort(times)
	return times[n/2], nil
}

// Find returns the Result that a program has printed.
func Find(output string) (r Result, err error) {
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(line, Mark); ok {
			return r, json.Unmarshal([]byte(text), &r)
		}
	}
	return r, fmt.Errorf("no result in its output:\n%s", output)
}
