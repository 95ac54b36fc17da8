package runtime

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist/runtime/artifacts"
	"github.com/distkit/dist/runtime/manager"
)

// -timeout ends a test binary by a panic, which prints its own goroutines and
// none of the nodes'. So they are asked before, while there is somebody to ask.
const (
	hungPart = 10 // of the time of the test binary, the part kept for asking
	hungMost = 5 * time.Second
	// Nodes beside the test compete for the processor to answer.
	hungPerNode = 20 * time.Millisecond
)

// hungTime is when, of a test binary's time, the nodes of a test that still runs
// are asked what they do, how long they have to answer, and how long those that do
// not have to print their goroutines instead. What is left then is for telling.
func hungTime(begin, deadline, now time.Time, nodes int) (after, answer, quit time.Duration) {
	total, left := deadline.Sub(begin), deadline.Sub(now)
	margin := min(total/hungPart, hungMost) + time.Duration(nodes)*hungPerNode
	margin = max(min(margin, left/2), 0)
	quit = min(manager.QuitTime, margin/3)
	return left - margin, margin - 2*quit, quit
}

// watch has what a test's nodes are doing told shortly before -timeout ends the
// test binary.
func (s *session) watch(h *Held) {
	d, ok := deadline(h.t)
	if !ok {
		return // benchmarks and fuzz targets do not tell
	}
	after, answer, quit := hungTime(s.start, d, time.Now(), h.Size())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alarm = time.AfterFunc(after, func() {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), answer)
		defer cancel()
		dumps := h.Dump(ctx, quit)
		h.mu.Lock()
		over := h.over
		h.mu.Unlock()
		if over {
			return // it has come to its end after all
		}
		text := fmt.Sprintf("dist: %s has not ended, %v before -timeout ends the test binary; its nodes (asked for %v):\n%s",
			h.Test(), time.Until(d).Round(time.Millisecond), time.Since(begin).Round(time.Millisecond), dumpText(dumps))
		text += s.keep(h.Test()+".stacks.txt", h.keep, stacksFile(h, dumps))
		if rec := s.recording; rec != nil && h.keep != "never" {
			text += "\n" + rec.hung(h)
		}
		if testing.Verbose() {
			h.Logf("%s", text)
		} else { // what a test has logged is lost when -timeout ends it
			fmt.Fprintln(os.Stderr, text)
		}
	})
}

// dumpText is what dumps say, without the stacks.
func dumpText(dumps []manager.Dump) string {
	var b strings.Builder
	pending := 0
	for _, d := range dumps {
		pending += len(d.Pending)
		for _, line := range d.Lines() {
			b.WriteString("    " + line + "\n")
		}
	}
	if pending == 0 {
		b.WriteString("    the test waits for no call: look for what it waits for among its own goroutines\n")
	}
	return b.String()
}

// stacksFile is all of the dumps, for a file.
func stacksFile(h *Held, dumps []manager.Dump) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, cluster %s, %s\n", h.Test(), h.ID, time.Now().Format(time.RFC3339Nano))
	for _, d := range dumps {
		fmt.Fprintf(&b, "\n===== %s\n\n%s\n", strings.Join(d.Lines(), "\n"), d.Stacks)
	}
	return []byte(b.String())
}

// keep writes a file for people to read, if the configuration lets it, and
// returns a line that says where it is, or why it is not.
func (s *session) keep(name, keep string, data []byte) string {
	if keep == "never" {
		return `    not kept: keep = "never" in [artifacts]`
	}
	file, err := s.artifacts.Write(name, data)
	if err != nil {
		return "    " + err.Error()
	}
	return "    all goroutines: " + file
}

// place has artifacts go where the configuration says.
func (s *session) place(dir string) {
	if base, err := artifacts.Base(dir); err == nil {
		s.artifacts.Of(base, s.packagePath())
	}
}
