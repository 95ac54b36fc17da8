package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/distkit/dist/runtime/events"
)

// A Run is a file of events: one run of one test binary. Unlike an
// events.Record it keeps kinds that are not known, says what is missing, and has
// texts that can be shown as they are.
type Run struct {
	ID      string   `json:"run,omitempty"`
	Start   string   `json:"start,omitempty"` // RFC 3339
	Package string   `json:"package,omitempty"`
	PID     int      `json:"pid,omitempty"`
	Go      string   `json:"go,omitempty"`
	OS      string   `json:"os,omitempty"`
	Arch    string   `json:"arch,omitempty"`
	CPUs    int      `json:"cpus,omitempty"`
	Args    []string `json:"args,omitempty"`
	Within  string   `json:"within,omitempty"` // the dist test or go test that it is a part of

	Events []Event `json:"-"` // by T

	Cut       bool `json:"cut,omitempty"`       // the last line is not whole
	Malformed int  `json:"malformed,omitempty"` // lines that are no events
	Omitted   int  `json:"omitted,omitempty"`   // events that were too many to be read
}

// An Event is a line of the file, its texts such as can be shown. Its kind need
// be none that is known.
type Event = events.Event

const (
	maxLine   = 4 << 20  // bytes; recorders keep to 64 KiB
	maxText   = 16 << 10 // bytes of one text that are shown
	maxEvents = 400_000  // of which a browser can be expected to make something
	maxTime   = 1 << 52  // ns, 52 days; what a browser can count exactly
)

// Read reads a file of events. Its only errors are those of r, and a file that
// says it is something else: lines that are no events are counted, one that is
// cut ends the file.
func Read(r io.Reader) (*Run, error) {
	run := &Run{}
	lines := bufio.NewReaderSize(r, 64<<10)
	for first := true; ; first = false {
		line, whole, err := readLine(lines)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read events: %w", err)
		}
		if first {
			if err := run.header(line); err != nil {
				return nil, err
			}
		}
		line = bytes.TrimLeft(line, "\x00") // room that nothing has been written to
		if len(bytes.TrimSpace(line)) > 0 {
			switch e, ok := parse(line); {
			case ok:
				run.Events = append(run.Events, e)
			case !whole && err == io.EOF:
				run.Cut = true
			case !first:
				run.Malformed++
			}
		}
		if err == io.EOF {
			break
		}
	}
	run.settle()
	return run, nil
}

// ReadHeader reads only what a file of events says of the run, without events.
func ReadHeader(r io.Reader) (*Run, error) {
	line, _, err := readLine(bufio.NewReader(r))
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read events: %w", err)
	}
	run := &Run{}
	return run, run.header(line)
}

// readLine returns the next line, what is beyond maxLine left out. It is whole
// if it ends in a newline.
func readLine(r *bufio.Reader) (line []byte, whole bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if room := maxLine - len(line); len(part) > room {
			part = part[:room]
		}
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err == nil, err
		}
	}
}

func (r *Run) header(line []byte) error {
	var h struct {
		Schema string `json:"schema"`
		*Run
	}
	h.Run = r
	err := json.Unmarshal(line, &h)
	var mistyped *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &mistyped) {
		return nil // a cut file, counted by the caller
	}
	if family, _, _ := strings.Cut(events.Schema, "/"); h.Schema != "" && h.Schema != events.Schema && !strings.HasPrefix(h.Schema, events.Schema+".") {
		if strings.HasPrefix(h.Schema, family+"/") {
			return fmt.Errorf("read events: the file is of schema %q, and this dist reads %s: use the dist that the tests were run with", h.Schema, events.Schema)
		}
		return fmt.Errorf("read events: the file is of schema %q, not %s", h.Schema, events.Schema)
	}
	for _, s := range []*string{&r.ID, &r.Start, &r.Package, &r.Go, &r.OS, &r.Arch, &r.Within} {
		*s = printable(*s)
	}
	for i := range r.Args {
		r.Args[i] = printable(r.Args[i])
	}
	return nil
}

// parse reads a line as an event. A field of the wrong type is left out.
func parse(line []byte) (e Event, ok bool) {
	err := json.Unmarshal(line, &e)
	var mistyped *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &mistyped) || e.Kind == "" {
		return Event{}, false
	}
	e.At = min(max(e.At, 0), maxTime)
	e.Dur = min(max(e.Dur, 0), maxTime-e.At)
	e.Kind = events.Kind(printable(string(e.Kind)))
	for _, s := range []*string{&e.Test, &e.Cluster, &e.Node, &e.Peer, &e.What, &e.Text, &e.Outcome, &e.Error, &e.Reason, &e.Code, &e.File} {
		*s = printable(*s)
	}
	for i := range e.Nodes {
		e.Nodes[i] = printable(e.Nodes[i])
	}
	for i, p := range e.Pairs {
		e.Pairs[i] = [2]string{printable(p[0]), printable(p[1])}
	}
	return e, true
}

// settle puts the events in order, drops a call's beginning where its end is
// there, and keeps their number within bounds.
func (r *Run) settle() {
	done := make(map[uint64]bool)
	for i := range r.Events {
		if e := &r.Events[i]; e.Kind == "call.done" && e.ID != 0 {
			done[e.ID] = true
		}
	}
	r.Events = slices.DeleteFunc(r.Events, func(e Event) bool { return e.Kind == "call" && done[e.ID] })
	slices.SortStableFunc(r.Events, func(a, b Event) int {
		return cmp.Compare(a.At, b.At)
	})
	r.settleClusters()
	over := len(r.Events) - maxEvents
	if over <= 0 {
		return
	}
	// The oldest of what there is most of goes first.
	kept := r.Events[:0]
	for _, e := range r.Events {
		plenty := e.Kind == "log" || e.Kind == "call.done" && e.Outcome == "ok"
		if over > 0 && plenty {
			over--
			r.Omitted++
			continue
		}
		kept = append(kept, e)
	}
	if n := len(kept) - maxEvents; n > 0 {
		r.Omitted += n
		kept = kept[n:]
	}
	r.Events = kept
}

// settleClusters adds the cluster to events that name a test and a node of it
// only, as lines of logs do: the last that the test had with such a node.
func (r *Run) settleClusters() {
	type member struct{ test, node string }
	had := make(map[member][]*Event) // where the cluster is named, by time
	for i := range r.Events {
		e := &r.Events[i]
		if e.Cluster == "" || e.Node == "" {
			continue
		}
		m := member{e.Test, e.Node}
		if n := len(had[m]); n == 0 || had[m][n-1].Cluster != e.Cluster {
			had[m] = append(had[m], e)
		}
	}
	for i := range r.Events {
		e := &r.Events[i]
		named := had[member{e.Test, e.Node}]
		if e.Cluster != "" || e.Node == "" || len(named) == 0 {
			continue
		}
		k, _ := slices.BinarySearchFunc(named, e.At, func(n *Event, t time.Duration) int {
			if n.At <= t {
				return -1
			}
			return 1
		})
		e.Cluster = named[max(k-1, 0)].Cluster
	}
}

// printable makes text that can be shown as it is: colours of terminals are
// left out, other control characters and those that turn the direction of
// what follows are shown as what they are, and what is very long is cut.
func printable(s string) string {
	if len(s) > maxText {
		end := maxText
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = fmt.Sprintf("%s… (%d bytes in all)", s[:end], len(s))
	}
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if n := colour(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r' && i+1 < len(s) && s[i+1] == '\n', r == '\r' && i+1 == len(s):
		case !unprintable(r):
			b.WriteRune(r)
		case r < 0x20:
			b.WriteRune(0x2400 + r) // its picture
		case r == 0x7f:
			b.WriteRune(0x2421)
		default:
			fmt.Fprintf(&b, "<%U>", r)
		}
		i += n
	}
	return b.String()
}

// unprintable reports whether a character does something instead of showing.
func unprintable(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r == 0x2028, r == 0x2029, r == 0x200e, r == 0x200f, r == 0x061c,
		r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// colour returns the length of the sequence at the beginning of s that sets a
// terminal's colours, 0 if there is none.
func colour(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case c == 'm':
			return i + 1
		case c != ';' && c != ':' && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}
