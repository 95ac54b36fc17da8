package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A RemoteError is the error that the far side's handler returned. Its text is
// all that crosses, and whether it was one of the errors that mean the same on
// both sides: errors.Is holds for context.Canceled, context.DeadlineExceeded
// and io.EOF.
type RemoteError struct {
	Text string
	is   []error
}

func (e *RemoteError) Error() string { return e.Text }

func (e *RemoteError) Unwrap() []error { return e.is }

// A PanicError is a panic of the far side's handler.
type PanicError struct {
	Value string // what was passed to panic, as text
	Stack string // of the goroutine that panicked, on the far side
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %s\n\n%s", e.Value, e.Stack) }

// portable are the errors whose identity crosses, in the order of their bits.
var portable = []error{context.Canceled, context.DeadlineExceeded, io.EOF}

type failure struct {
	Text  string `cbor:"1,keyasint"`
	Is    uint   `cbor:"2,keyasint,omitempty"`
	Panic bool   `cbor:"3,keyasint,omitempty"`
	Stack string `cbor:"4,keyasint,omitempty"`
}

func encodeFailure(err error) []byte {
	var f failure
	if p, ok := err.(*PanicError); ok {
		f = failure{Text: p.Value, Stack: p.Stack, Panic: true}
	} else {
		f.Text = err.Error()
		for i, target := range portable {
			if errors.Is(err, target) {
				f.Is |= 1 << i
			}
		}
	}
	b, merr := encoder.Marshal(f)
	if merr != nil { // strings and numbers: cannot happen
		panic(merr)
	}
	return b
}

func decodeFailure(b []byte) error {
	var f failure
	if err := decoder.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("unreadable error from the far side: %w", err)
	}
	if f.Panic {
		return &PanicError{Value: f.Text, Stack: f.Stack}
	}
	e := &RemoteError{Text: f.Text}
	for i, target := range portable {
		if f.Is&(1<<i) != 0 {
			e.is = append(e.is, target)
		}
	}
	return e
}
