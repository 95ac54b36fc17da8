package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNodeLog reads a log longer than what is read at a time, with a line longer
// than any may be, while it is being written.
func TestNodeLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(text string) {
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	l := &nodeLog{file: file}
	var got []string
	print := func(_ *nodeLog, line []byte) { got = append(got, string(line)) }
	var want []string
	for i := range 20_000 {
		want = append(want, strings.Repeat("x", i%60))
	}
	write(strings.Join(want, "\n") + "\r\nno end")
	if err := l.begin(-1, print); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d lines of %d, %v", len(got), len(want), err)
	}
	got = nil
	write(" yet\n" + strings.Repeat("y", 3*longestLine) + "\nlast\n")
	if err := l.read(func(line []byte) { print(l, line) }); err != nil {
		t.Fatal(err)
	}
	long := strings.Join(got[1:len(got)-1], "")
	if got[0] != "no end yet" || got[len(got)-1] != "last" || long != strings.Repeat("y", 3*longestLine) || len(got) < 4 {
		t.Errorf("%d lines, the first %.20q, the last %.20q, and %d bytes between", len(got), got[0], got[len(got)-1], len(long))
	}
	for _, line := range got {
		if len(line) > longestLine+256<<10 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	l.open.Close()
	for _, last := range []int{0, 1, 3, 1000} {
		got = nil
		l := &nodeLog{file: file}
		if err := l.begin(last, print); err != nil || len(got) != last || last > 0 && got[last-1] != "last" {
			t.Errorf("the last %d lines: %d, %v", last, len(got), err)
		}
		l.open.Close()
	}
}
