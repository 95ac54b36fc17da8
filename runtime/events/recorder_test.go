package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// full has something in every field.
var full = Event{
	At: 12345, Kind: CallDone, Dur: 678, Test: "TestX/sub", Cluster: "c-1", Node: "node-1", Peer: "node-2", ID: 7,
	What: "suite.echo", Text: "two\nlines\twith \"quotes\" and \\", Outcome: OK, Error: "é\u2028\x1b[31m", Reason: "because",
	PID: 9, Size: 3, Seed: 1<<64 - 1, Bytes: 64, Code: "DIST-X", File: "x.go:1", Reused: true,
	Nodes: []string{"node-1", "node-2"}, Addrs: []string{"raft=127.3.4.5:7000"}, Pairs: [][2]string{{"node-1", "node-2"}},
}

func TestEncode(t *testing.T) {
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("this test leaves out %s", v.Type().Field(i).Name)
		}
	}
	var back Event
	line := full.append(nil)
	if err := json.Unmarshal(line, &back); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if !reflect.DeepEqual(back, full) {
		t.Errorf("%+v\nbecame\n%+v", full, back)
	}
	// Only what is set, but for no pairs that are cut.
	e := Event{At: 1, Kind: Fault, Pairs: [][2]string{}}
	if got := string(e.append(nil)); got != `{"t":1,"kind":"fault","pairs":[]}`+"\n" {
		t.Error(got)
	}
}

func TestEncodeHostile(t *testing.T) {
	for _, s := range []string{
		"\x00\x01\x7f\xff\xfe", strings.Repeat("\xff", 1<<20), strings.Repeat("\x1b", 1<<20), strings.Repeat("é", 1<<20), strings.Repeat("x", 1<<20),
		"</script><script>alert(1)</script>", "\u2028", "\n", strings.Repeat("\"", maxLong), strings.Repeat("a", maxLong), strings.Repeat("a", maxLong-1) + "é",
	} {
		e := Event{At: 1, Kind: Log, Text: s, Error: s, Reason: s, Test: s, What: s, Node: s, Peer: s, Cluster: s, Code: s, File: s, Outcome: s}
		for range 1000 {
			e.Nodes, e.Addrs = append(e.Nodes, s), append(e.Addrs, s)
		}
		line := e.append(nil)
		if len(line) > maxLine {
			t.Errorf("%.20q: a line of %d bytes", s, len(line))
		}
		if bytes.Count(line, []byte("\n")) != 1 || !utf8.Valid(line) {
			t.Errorf("%.20q: no line: %.100q", s, line)
		}
		var back Event
		if err := json.Unmarshal(line, &back); err != nil {
			t.Errorf("%.20q: %v", s, err)
		}
		if clean := strings.ToValidUTF8(s, "\ufffd"); len(s) < 100 && utf8.ValidString(s) && back.Text != clean {
			t.Errorf("%q became %q", s, back.Text)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a log line", "node-1")
	f.Add("\xff\x00\x1b]0;", "")
	f.Fuzz(func(t *testing.T, text, what string) {
		e := Event{At: 1, Kind: Log, Text: text, What: what}
		line := e.append(nil)
		var back Event
		if err := json.Unmarshal(line, &back); err != nil || len(line) > maxLine {
			t.Fatalf("%d bytes, %v: %q", len(line), err, line)
		}
		if utf8.ValidString(text) && len(text) < 1000 && back.Text != text {
			t.Fatalf("%q became %q", text, back.Text)
		}
	})
}

func open(t *testing.T, r *Recorder) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a run", FileName)
	if err := os.Mkdir(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.Open(name); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) *Record {
	t.Helper()
	rec, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if rec.Bad > 0 {
		t.Errorf("%d lines cannot be read", rec.Bad)
	}
	return rec
}

// TestRecord has events from before there is a file, while it is written, and
// from after the end, by several at once.
func TestRecord(t *testing.T) {
	r := New(Header{Package: "example.com/kv", Args: []string{"-test.v"}})
	r.Add(Event{Kind: Decision, Test: "TestX", Size: 3})
	name := open(t, r)
	var wg sync.WaitGroup
	const each = 2000
	for i := range 4 {
		wg.Go(func() {
			for j := range each {
				r.Add(Event{Kind: CallDone, Node: fmt.Sprintf("node-%d", i+1), ID: uint64(j + 1)})
			}
		})
	}
	wg.Wait()
	check := func(when string) {
		rec := read(t, name)
		if h := rec.Header; h.Package != "example.com/kv" || h.PID != os.Getpid() || h.Run == "" || time.Since(h.Start) > time.Minute {
			t.Errorf("%s: header %+v", when, h)
		}
		if len(rec.Events) != 1+4*each || rec.Events[0].Size != 3 {
			t.Fatalf("%s: %d events, the first %+v", when, len(rec.Events), rec.Events[0])
		}
		next := map[string]uint64{}
		for _, e := range rec.Events[1:] {
			if next[e.Node]++; e.ID != next[e.Node] {
				t.Fatalf("%s: %s: event %d comes as number %d", when, e.Node, e.ID, next[e.Node])
			}
		}
	}
	check("while it is written")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.Add(Event{Kind: Log, Text: "too late"})
	check("at the end")
	b, err := os.ReadFile(name)
	if err != nil || bytes.IndexByte(b, 0) >= 0 {
		t.Errorf("room that nothing was written to is left in the file (%v)", err)
	}
}

func TestNil(t *testing.T) {
	var r *Recorder
	r.Add(Event{Kind: Log})
	if err := errors.Join(r.Open("nowhere/at all"), r.Close(), r.Err()); err != nil || r.File() != "" || r.ID() != 0 || r.Now() != 0 {
		t.Error(err)
	}
}

// TestBound writes many times what fits: the beginning and the end stay, and so
// does everything of which there is not much.
func TestBound(t *testing.T) {
	r := newRecorder(Header{}, layout{head: 512 << 10, reserve: 128 << 10, half: 256 << 10})
	name := open(t, r)
	const n = 100_000
	for i := range n {
		e := Event{Kind: Log, ID: uint64(i + 1), Text: "something that a node has to say, of some length"}
		if i%1000 == 0 {
			e.Kind = Diagnose
		}
		r.Add(e)
	}
	check := func(size int64) {
		rec := read(t, name)
		var logs, diagnoses, dropped int
		var first, last uint64
		for _, e := range rec.Events {
			switch e.Kind {
			case Log:
				logs++
				if last = e.ID; first == 0 {
					first = e.ID
				}
			case Diagnose:
				diagnoses++
			case Dropped:
				dropped = e.Size
			}
		}
		if diagnoses != n/1000 {
			t.Errorf("%d of %d diagnoses", diagnoses, n/1000)
		}
		if first != 2 || last != n {
			t.Errorf("events %d to %d", first, last)
		}
		if dropped == 0 || logs+diagnoses+dropped != n {
			t.Errorf("%d events and %d diagnoses are there and %d are told to be gone, of %d", logs, diagnoses, dropped, n)
		}
		if info, err := os.Stat(name); err != nil || info.Size() > size {
			t.Errorf("%d bytes, %v", info.Size(), err)
		}
	}
	check(r.layout.size())
	r.Close()
	check(r.layout.size())
	b, err := os.ReadFile(name)
	if err != nil || bytes.IndexByte(b, 0) >= 0 || bytes.Contains(b, []byte("\n\n")) {
		t.Errorf("the file consists of more than lines (%v)", err)
	}
}

func TestRead(t *testing.T) {
	header := `{"schema":"dist.events/1","run":"x"}` + "\n"
	for _, tc := range []struct {
		name, text, err string
		events, bad     int
	}{
		{name: "nothing", err: "no first line"},
		{name: "something else", text: "{}\n", err: "does not say schema"},
		{name: "a later schema", text: `{"schema":"dist.events/2"}` + "\n", err: "dist.events/2"},
		{name: "only a header", text: header},
		{name: "cut", text: header + `{"t":1,"kind":"log"}` + "\n" + `{"t":2,"ki`, events: 1},
		{name: "room", text: header + `{"t":1,"kind":"log"}` + "\n" + strings.Repeat("\x00", 1<<20), events: 1},
		{name: "room in between", text: header + strings.Repeat("\x00", 1<<20) + `{"t":1,"kind":"log"}` + "\n", events: 1},
		{name: "rubbish", text: header + "rubbish\n" + `{"t":1,"kind":"log"}` + "\n", events: 1, bad: 1},
		{name: "unknown", text: header + `{"t":1,"kind":"new"}` + "\n" + `{"t":1,"kind":"log","new":[1]}` + "\n", events: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec, err := Read(strings.NewReader(tc.text))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || len(rec.Events) != tc.events || rec.Bad != tc.bad {
				t.Errorf("%v, %+v", err, rec)
			}
		})
	}
}

func TestNowhere(t *testing.T) {
	r := New(Header{})
	if err := r.Open(filepath.Join(t.TempDir(), "is not", "there")); err == nil {
		t.Error("no error")
	}
	r.Add(Event{Kind: Log}) // nothing happens
	if r.Err() == nil || r.Close() == nil {
		t.Error("it is not known any more")
	}
}

// A failing file fails from some write on.
type failing struct {
	file
	puts int
}

func (f *failing) put(at int64, b []byte) error {
	if f.puts--; f.puts < 0 {
		return errors.New("no space left")
	}
	return f.file.put(at, b)
}

// TestFails: whenever the file fails, the recording ends, and nothing else.
func TestFails(t *testing.T) {
	for puts := range 80 {
		r := newRecorder(Header{}, layout{head: 1 << 10, reserve: 1 << 10, half: 1 << 10})
		open(t, r)
		r.file = &failing{r.file, puts}
		for i := range 100 {
			e := Event{Kind: Log, ID: uint64(i + 1), Text: "something that a node has to say, of some length"}
			if i%10 == 0 {
				e.Kind = Diagnose
			}
			r.Add(e)
		}
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("after %d writes: %v", puts, err)
		}
	}
}

// TestAllocs holds that recording leaves nothing to collect.
func TestAllocs(t *testing.T) {
	r := New(Header{})
	open(t, r)
	defer r.Close()
	e := full
	if n := testing.AllocsPerRun(1000, func() { r.Add(e) }); n > 0 {
		t.Errorf("%v allocations an event", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	r := New(Header{})
	if err := r.Open(filepath.Join(b.TempDir(), FileName)); err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for b.Loop() {
		r.Add(Event{At: 123456789, Kind: CallDone, Dur: 60_000, Test: "TestEcho", Node: "node-2", What: "suite.echo", Outcome: OK, Bytes: 128})
	}
}
