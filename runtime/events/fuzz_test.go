package events

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzRead reads any file as that of a run: it may have been cut, written over,
// or be somebody else's.
func FuzzRead(f *testing.F) {
	head := string((&Header{Schema: Schema, Run: "r", Start: time.Unix(1, 0).UTC(), Args: []string{"-test.v"}}).line())
	event := string((&Event{At: 7, Kind: Fault, Node: "node-1", Pairs: [][2]string{{"node-1", "node-2"}}}).append(nil))
	for _, text := range []string{
		head, head + event, head + event + event[:20], head + "\x00\x00\x00" + event + "{}\nnull\n[]\n" + event,
		head + `{"t":-1,"kind":"log"}` + "\n" + `{"t":9223372036854775808,"kind":"log"}` + "\n" + `{"t":0,"kind":"unheard"}`,
		"", "\n", `{"schema":"dist.events/2"}` + "\n", `{"schema":"dist.events/1","start":7}` + "\n", strings.TrimSpace(head),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(bytes.NewReader(b))
		if err != nil {
			if r != nil || err.Error() == "" || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q: %v, %q", b, r, err)
			}
			return
		}
		if r.Header.Schema != Schema {
			t.Errorf("%q: schema %q", b, r.Header.Schema)
		}
		if lines := bytes.Count(b, []byte("\n")); len(r.Events)+r.Bad > lines {
			t.Errorf("%q: %d events and %d bad ones in %d lines", b, len(r.Events), r.Bad, lines)
		}
		if !slices.IsSortedFunc(r.Events, func(a, b Event) int { return int(max(-1, min(1, a.At-b.At))) }) && !far(r.Events) {
			t.Errorf("%q: not in order", b)
		}
		var merged bytes.Buffer
		if err := r.Merge(&merged); err != nil {
			t.Error(err)
		}
		if i := strings.IndexFunc(merged.String(), func(c rune) bool { return c != '\n' && c != '\t' && unicode.IsControl(c) }); i >= 0 {
			t.Errorf("%q: a terminal would act upon %q", b, merged.Bytes()[i:])
		}
		for _, e := range r.Events {
			if !slices.Contains(Kinds, e.Kind) {
				t.Errorf("%q: kind %q", b, e.Kind)
			}
		}
	})
}

// far reports whether times are so far apart that their difference overflows.
func far(events []Event) bool {
	return slices.ContainsFunc(events, func(e Event) bool { return e.At > 1<<61 || e.At < -(1<<61) })
}

// FuzzEvent writes an event with anything in it. Its line is one line of JSON
// of no more than a line may have, and what is short and UTF-8 comes back.
func FuzzEvent(f *testing.F) {
	f.Add(int64(1), "TestX/a b", "text\nof\ttwo\r lines \x00\x1b[31m\"\\\u2028", "node-1", uint64(1), 2)
	f.Add(int64(-1), "\xff\xfe", strings.Repeat("ü", 9000), strings.Repeat("\"", 2000), ^uint64(0), -1)
	f.Add(int64(0), "\u007f", "\ufffd", "", uint64(0), 100)
	f.Fuzz(func(t *testing.T, at int64, test, text, name string, id uint64, n int) {
		e := Event{At: time.Duration(at), Kind: Fault, Test: test, Text: text, Error: text, Reason: text, Node: name, ID: id, PID: n, Seed: id}
		for range min(max(n, 0), 2000) {
			e.Nodes = append(e.Nodes, name)
			e.Addrs = append(e.Addrs, text)
			e.Pairs = append(e.Pairs, [2]string{name, text})
		}
		line := e.append(nil)
		if i := bytes.IndexByte(line, '\n'); i != len(line)-1 || !utf8.Valid(line) {
			t.Fatalf("%q is not one line", line)
		}
		most := maxLine
		if len(e.Pairs) > 0 {
			most += maxPairs * (2*(32+utf8.UTFMax+len(cutMark)) + 10)
		}
		if len(line) > most {
			t.Errorf("a line of %d bytes", len(line))
		}
		var got Event
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got.At != e.At || got.ID != id || got.Kind != e.Kind || len(got.Nodes) != min(len(e.Nodes), maxMany) || len(got.Pairs) != min(len(e.Pairs), maxPairs) {
			t.Errorf("%+v becomes %+v", e, got)
		}
		for _, s := range []struct{ want, got string }{{test, got.Test}, {text, got.Text}, {text, got.Error}, {name, got.Node}} {
			if utf8.ValidString(s.want) && len(s.want) < 150 && s.got != s.want { // at most 6 bytes for each
				t.Errorf("%q becomes %q", s.want, s.got)
			}
		}
	})
}
