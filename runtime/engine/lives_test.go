package engine

import "testing"

// life is a process of which no more is asked than whether it is over.
type life struct {
	Node
	done chan struct{}
}

func (l life) Done() <-chan struct{} { return l.done }

func TestExpectOf(t *testing.T) {
	var l Lives
	first, second := life{done: make(chan struct{})}, life{done: make(chan struct{})}
	l.Begin(first)
	if !l.ExpectOf(first, "ended") || l.Asked() != "ended" {
		t.Errorf("the last process is not expected to end: %q", l.Asked())
	}
	close(first.done)
	if l.ExpectOf(first, "again") || l.Asked() != "ended" {
		t.Errorf("a process that has ended is expected to: %q", l.Asked())
	}
	l.Begin(second)
	if l.ExpectOf(first, "ended") || l.Asked() != "" {
		t.Errorf("the next process is expected to end, in place of the one before: %q", l.Asked())
	}
}
