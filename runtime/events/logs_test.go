package events

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// appendTo writes as a node does, which nobody is asked about.
func appendTo(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// await reads a file of events until there are a number of them.
func await(t *testing.T, name string, n int) []Event {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		rec := read(t, name)
		if len(rec.Events) >= n {
			return rec.Events
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events, want %d: %+v", len(rec.Events), n, rec.Events)
		}
	}
}

func TestLogs(t *testing.T) {
	r := New(Header{})
	l := NewLogs(r)
	defer l.Close()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1.log"), filepath.Join(dir, "2.log")
	appendTo(t, one, "before anybody looks\nhalf")
	l.Follow(one, "TestX", "node-1")
	file := open(t, r)
	l.Watch()
	if _, ok := l.notify.(interface{ close() }); !ok {
		t.Skip("files are read in the end here")
	}
	await(t, file, 1)
	appendTo(t, one, " a line\n")
	await(t, file, 2)
	appendTo(t, two, "a later node\n")
	l.Follow(two, "TestX", "node-2")
	await(t, file, 3)
	l.Follow(one, "TestY", "node-3") // it serves another test
	appendTo(t, one, "another\nno end")
	await(t, file, 4)
	l.Finish(one)
	appendTo(t, one, "nobody wants to know\n")
	l.Finish(two)
	want := []string{"TestX node-1 before anybody looks", "TestX node-1 half a line", "TestX node-2 a later node", "TestY node-3 another", "TestY node-3 no end"}
	var got []string
	for _, e := range read(t, file).Events {
		got = append(got, e.Test+" "+e.Node+" "+e.Text)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// Emptied and used again, under the same name.
	if err := os.Truncate(one, 0); err != nil {
		t.Fatal(err)
	}
	l.Follow(one, "TestZ", "node-1")
	appendTo(t, one, "anew\n")
	if e := await(t, file, len(want)+1); e[len(want)].Text != "anew" {
		t.Errorf("%+v", e[len(want)])
	}
}

// TestHostileLogs has logs that no log ought to be.
func TestHostileLogs(t *testing.T) {
	r := New(Header{})
	file := open(t, r)
	l := NewLogs(r)
	dir := t.TempDir()
	for i, text := range []string{
		strings.Repeat("x", 1<<20),
		strings.Repeat("x", 1<<20) + "\nafter it\n",
		"\xff\xfe\x00\x1b]0;title\a\n",
		"\r\n\n \n\t\n",
		strings.Repeat("\x00", 1<<20),
		strings.Repeat(strings.Repeat("too long ", 100)+"\n", 10_000), // 9 MiB
	} {
		name := filepath.Join(dir, fmt.Sprint(i))
		appendTo(t, name, text)
		l.Follow(name, "TestX", fmt.Sprint("node-", i+1))
		l.Finish(name)
	}
	l.Close()
	r.Close()
	lines := make(map[string][]string)
	for _, e := range read(t, file).Events {
		if e.Kind == Log {
			lines[e.Node] = append(lines[e.Node], e.Text)
		}
	}
	for node, want := range map[string]int{"node-1": 1, "node-2": 2, "node-3": 1, "node-4": 0, "node-5": 1} {
		if len(lines[node]) != want {
			t.Errorf("%s: %d lines, want %d", node, len(lines[node]), want)
		}
	}
	if two := lines["node-2"]; len(two) == 2 && two[1] != "after it" {
		t.Errorf("%.40q", two[1])
	}
	if n := len(lines["node-6"]); n < 1000 || n > mostAtOnce/900 {
		t.Errorf("%d lines of a log of 9 MiB", n)
	}
	if info, err := os.Stat(file); err != nil || info.Size() > MaxBytes {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
}

// Whoever prints without end does not keep the test process from its work, and
// all of it is read in the end.
func TestBusyLog(t *testing.T) {
	r := New(Header{})
	file := open(t, r)
	l := NewLogs(r)
	name := filepath.Join(t.TempDir(), "log")
	appendTo(t, name, "")
	l.Follow(name, "TestX", "node-1")
	l.Watch()
	const n = 5000
	for i := range n {
		appendTo(t, name, fmt.Sprintf("line %d\n", i))
	}
	l.Finish(name)
	l.Close()
	r.Close()
	events := read(t, file).Events
	if len(events) != n {
		t.Fatalf("%d of %d lines", len(events), n)
	}
	for i, e := range events {
		if e.Text != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, e.Text)
		}
	}
}
