package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Schema is what the first line of a file of events says it is. Minor versions
// add fields and kinds, which readers ignore.
const Schema = "dist.events/1"

// FileName is the file in a run's directory that has its events.
const FileName = "events.jsonl"

// A Run is a file of events: one run of one test binary.
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

	Events []Event `json:"-"` // by T

	Cut       bool `json:"cut,omitempty"`       // the last line is not whole
	Malformed int  `json:"malformed,omitempty"` // lines that are no events
	Omitted   int  `json:"omitted,omitempty"`   // events that were too many to be read
}

// An Event is a line of the file. Times are nanoseconds since the run's start.
type Event struct {
	T       int64           `json:"t"`
	Dur     int64           `json:"dur,omitempty"`
	Kind    string          `json:"kind"`
	Test    string          `json:"test,omitempty"`
	Cluster string          `json:"cluster,omitempty"`
	Node    string          `json:"node,omitempty"` // "": the test process
	Peer    string          `json:"peer,omitempty"`
	ID      int64           `json:"id,omitempty"`
	What    string          `json:"what,omitempty"`
	Text    string          `json:"text,omitempty"`
	Outcome string          `json:"outcome,omitempty"`
	Error   string          `json:"error,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	PID     int             `json:"pid,omitempty"`
	Size    int64           `json:"size,omitempty"`
	Seed    json.RawMessage `json:"seed,omitempty"`
	Bytes   int64           `json:"bytes,omitempty"`
	Code    string          `json:"code,omitempty"`
	File    string          `json:"file,omitempty"`
	Nodes   []string        `json:"nodes,omitempty"`
	Reused  bool            `json:"reused,omitempty"`
	Pairs   [][2]string     `json:"pairs,omitempty"` // nil: not said
}

// End is when the event was over.
func (e *Event) End() int64 { return e.T + e.Dur }

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
	if family, _, _ := strings.Cut(Schema, "/"); h.Schema != "" && h.Schema != Schema && !strings.HasPrefix(h.Schema, Schema+".") {
		if strings.HasPrefix(h.Schema, family+"/") {
			return fmt.Errorf("read events: the file is of schema %q, and this dist reads %s: use the dist that the tests were run with", h.Schema, Schema)
		}
		return fmt.Errorf("read events: the file is of schema %q, not %s", h.Schema, Schema)
	}
	for _, s := range []*string{&r.ID, &r.Start, &r.Package, &r.Go, &r.OS, &r.Arch} {
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
	e.T = min(max(e.T, 0), maxTime)
	e.Dur = min(max(e.Dur, 0), maxTime-e.T)
	for _, s := range []*string{&e.Kind, &e.Test, &e.Cluster, &e.Node, &e.Peer, &e.What, &e.Text, &e.Outcome, &e.Error, &e.Reason, &e.Code, &e.File} {
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
	done := make(map[int64]bool)
	for i := range r.Events {
		if e := &r.Events[i]; e.Kind == "call.done" && e.ID != 0 {
			done[e.ID] = true
		}
	}
	r.Events = slices.DeleteFunc(r.Events, func(e Event) bool { return e.Kind == "call" && done[e.ID] })
	slices.SortStableFunc(r.Events, func(a, b Event) int {
		switch {
		case a.T < b.T:
			return -1
		case a.T > b.T:
			return 1
		}
		return 0
	})
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
