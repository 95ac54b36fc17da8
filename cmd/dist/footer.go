package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/term"
)

// A footer is a line at the foot of a terminal, kept apart from what others
// write there: the rows above it become the region that scrolls, as apt does it.
// Whatever go test prints stays as it would be without. A nil footer shows
// nothing.
type footer struct {
	term       *os.File
	cols, rows int    // of the region that is set; 0: none is
	shown      string // text
}

// newFooter returns nil where f is no terminal that understands the sequences,
// or the user has said that none are wanted.
func newFooter(f *os.File) *footer {
	switch {
	case runtime.GOOS == "windows", !term.IsTerminal(int(f.Fd())):
		return nil
	case os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb", os.Getenv("CI") != "":
		return nil
	}
	return &footer{term: f}
}

// Too small a terminal is left alone.
const (
	leastRows = 6
	leastCols = 30
)

// show sets the line's text. Each change is a single write, so that it cannot
// come between those of others: save the cursor, go there, write, restore.
func (f *footer) show(text string) {
	if f == nil {
		return
	}
	cols, rows, err := term.GetSize(int(f.term.Fd()))
	if err != nil || rows < leastRows || cols < leastCols {
		f.leave()
		return
	}
	if runes := []rune(text); len(runes) > cols-1 {
		text = string(runes[:cols-2]) + "…"
	}
	if cols != f.cols || rows != f.rows {
		f.leave()
		// Down and up first, so that the cursor is not on the row that is taken away.
		fmt.Fprintf(f.term, "\x1bD\x1b[A\x1b7\x1b[1;%dr\x1b8", rows-1)
		f.cols, f.rows, f.shown = cols, rows, ""
	}
	if text != f.shown {
		fmt.Fprintf(f.term, "\x1b7\x1b[%d;1H\x1b[2K%s\x1b8", rows, text)
		f.shown = text
	}
}

// leave removes the line and gives its row back.
func (f *footer) leave() {
	if f == nil || f.rows == 0 {
		return
	}
	fmt.Fprintf(f.term, "\x1b7\x1b[%d;1H\x1b[2K\x1b[r\x1b8", f.rows)
	f.cols, f.rows, f.shown = 0, 0, ""
}
