package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/generator"
	"github.com/distkit/dist/runtime"
)

const (
	progressEvery = 100 * time.Millisecond // how often the test binaries' events are looked at
	progressFrom  = 500 * time.Millisecond // how long a run is quick enough without a status line
	progressBeat  = time.Minute            // between plain lines, where nothing else is said
)

// A progress follows a run by what its test binaries write into a file, and
// shows it: as a line at the foot of a terminal, or in a plain line now and
// then. It writes to standard error alone, and never touches go test's output.
type progress struct {
	file *os.File // of events
	rest []byte   // of a line that has not been read whole
	act  *activity
	foot *footer   // nil where there is no terminal
	out  io.Writer // for plain lines, where there is not

	began, said time.Time
	stop        chan struct{}
	done        sync.WaitGroup
}

// followTests begins to follow the run that reports into dir.
func followTests(dir string, packages []*generator.Package, s streams) (*progress, error) {
	name := filepath.Join(dir, runtime.EventsFile)
	file, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a file for the progress of the tests: %w", err)
	}
	now := time.Now()
	p := &progress{
		file: file, act: newActivity(packages), foot: newFooter(s.err), out: s.err,
		began: now, said: now, stop: make(chan struct{}),
	}
	p.done.Go(func() {
		ticks := time.NewTicker(progressEvery)
		defer ticks.Stop()
		suspends := make(chan os.Signal, 1)
		if p.foot != nil {
			notifySuspend(suspends)
			defer signal.Stop(suspends)
		}
		for {
			select {
			case <-p.stop:
				return
			case <-suspends: // whoever has the terminal meanwhile gets all of it
				p.foot.leave()
				suspend()
			case now := <-ticks.C:
				p.tick(now)
			}
		}
	})
	return p, nil
}

// end stops following, and leaves nothing on the terminal.
func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
	p.foot.leave()
	p.file.Close()
}

// tick takes in what has happened, and says it.
func (p *progress) tick(now time.Time) {
	for _, e := range p.read() {
		news := p.act.apply(e)
		if news != "" && p.foot == nil {
			fmt.Fprintf(p.out, "dist: %s\n", news)
			p.said = now
		}
	}
	switch {
	case p.act.idle():
		p.foot.leave()
	case p.foot != nil:
		if now.Sub(p.began) >= progressFrom {
			p.foot.show("dist: " + p.act.String())
		}
	case now.Sub(p.said) >= progressBeat:
		fmt.Fprintf(p.out, "dist: %s\n", p.act)
		p.said = now
	}
}

// read returns the events since the last time.
func (p *progress) read() []runtime.Event {
	b, err := io.ReadAll(p.file)
	if err != nil || len(b) == 0 {
		return nil
	}
	p.rest = append(p.rest, b...)
	var events []runtime.Event
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte{'\n'})
		if !ok {
			return events
		}
		p.rest = rest
		var e runtime.Event
		if json.Unmarshal(line, &e) == nil { // a binary of another version may say other things
			events = append(events, e)
		}
	}
}

// An activity is what test binaries are doing now.
type activity struct {
	packages []*generator.Package
	total    int                   // packages with tests that need clusters
	running  map[int]string        // package by process
	ended    map[string]bool       // packages
	tests    map[string]*testDoing // by process and name
}

type testDoing struct {
	nodes  int    // leased; 0: it has no cluster yet
	reason string // why it waits; "" if its cluster is being started
}

func newActivity(packages []*generator.Package) *activity {
	a := &activity{
		packages: packages,
		running:  make(map[int]string), ended: make(map[string]bool), tests: make(map[string]*testDoing),
	}
	for _, p := range packages {
		if len(p.Tests) > 0 {
			a.total++
		}
	}
	return a
}

// apply takes in an event. news is what somebody without a terminal should know
// of it at once; "" for most.
func (a *activity) apply(e runtime.Event) (news string) {
	key := fmt.Sprintf("%d %s", e.PID, e.Test)
	switch e.Kind {
	case "begin":
		a.running[e.PID] = e.Package
	case "want":
		a.tests[key] = &testDoing{}
	case "wait":
		if t := a.tests[key]; t != nil {
			t.reason = oneLine(e.Reason)
			return fmt.Sprintf("%s of %s waits: %s", e.Test, e.Package, t.reason)
		}
	case "leased":
		a.tests[key] = &testDoing{nodes: e.Nodes}
	case "refused", "released":
		delete(a.tests, key)
	case "end":
		a.ended[packagePath(e.Package, a.packages)] = true
		delete(a.running, e.PID)
		for k := range a.tests {
			if strings.HasPrefix(k, fmt.Sprintf("%d ", e.PID)) {
				delete(a.tests, k)
			}
		}
	}
	return ""
}

// idle reports whether no test binary that needs clusters runs.
func (a *activity) idle() bool { return len(a.running) == 0 }

// String is the activity in one line.
func (a *activity) String() string {
	var clusters, nodes, starting, waiting int
	var reasons []string
	for _, t := range a.tests {
		switch {
		case t.nodes > 0:
			clusters++
			nodes += t.nodes
		case t.reason != "":
			waiting++
			reasons = append(reasons, t.reason)
		default:
			starting++
		}
	}
	parts := []string{fmt.Sprintf("%d of %s done", len(a.ended), plural(a.total, "package"))}
	if clusters > 0 {
		parts = append(parts, fmt.Sprintf("%s up with %s", plural(clusters, "cluster"), plural(nodes, "node")))
	}
	if starting > 0 {
		parts = append(parts, fmt.Sprintf("%d starting", starting))
	}
	if waiting > 0 {
		slices.Sort(reasons) // the same one as long as it holds
		parts = append(parts, fmt.Sprintf("%d waiting: %s", waiting, reasons[0]))
	}
	return strings.Join(parts, ", ")
}
