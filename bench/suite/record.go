//go:build unix

package suite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/events"
)

// record measures what an event costs, and what a write of its line would.
func record(t *testing.T) {
	dir := t.TempDir()
	r := events.New(events.Header{})
	if err := r.Open(filepath.Join(dir, events.FileName)); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	e := events.Event{At: 123456789, Kind: events.CallDone, Dur: 60_000, Test: "TestLeaderSurvivesCrash", Cluster: "xn3og344rczvr5mi-2", Node: "node-2", What: "raft.propose", Outcome: events.OK, Bytes: 128}
	r.Add(e)
	b, err := os.ReadFile(r.File())
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimRight(line, "\x00")
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const n = 2000
	var all [2][]float64
	for block := range blocks + 1 { // the first warms up
		for i := range 2 {
			which := (i + block) % 2
			start := time.Now()
			for range n {
				if which == 0 {
					r.Add(e)
				} else if _, err := f.Write(line); err != nil {
					t.Fatal(err)
				}
			}
			if v := since(start) / n; block > 0 {
				all[which] = append(all[which], v)
			}
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	emit(Sample{Ours: quantile(all[0], 0.5), P95: quantile(all[0], 0.95), Floor: quantile(all[1], 0.5)})
}
