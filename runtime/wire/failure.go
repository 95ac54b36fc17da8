package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"slices"
	"sync"
	"syscall"
)

// A RemoteError is the error that the far side's handler returned. Its text
// crosses, and which of the errors it was, or wrapped, that mean the same on both
// sides, which errors.Is then finds:
//
//   - context.Canceled, context.DeadlineExceeded, errors.ErrUnsupported;
//   - io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded;
//   - fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed, fs.ErrInvalid,
//     which are those of package os;
//   - a syscall.Errno, such as syscall.ECONNREFUSED;
//   - what has been given to Carry.
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
var portable = []error{
	context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF,
	fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed, fs.ErrInvalid,
	os.ErrDeadlineExceeded, net.ErrClosed, errors.ErrUnsupported,
}

// carried are those that somebody has added, by their names, which are the same in
// all processes of one binary.
var carried struct {
	sync.RWMutex
	names []string
	errs  []error
}

// Carry has the identity of further errors cross, where both sides have been told
// of them: by their text, and those with the same text by the order in which they
// were given to Carry. It panics if one is nil or cannot be compared.
func Carry(errs ...error) {
	carried.Lock()
	defer carried.Unlock()
	for _, err := range errs {
		if err == nil || !reflect.ValueOf(err).Comparable() {
			panic(fmt.Sprintf("dist.RegisterErrors: %T cannot be told from other errors by errors.Is: give a variable, as in var ErrNotFound = errors.New(\"not found\")", err))
		}
		if slices.Contains(carried.errs, err) {
			continue
		}
		name := err.Error()
		for i := 2; slices.Contains(carried.names, name); i++ {
			name = fmt.Sprintf("%s #%d", err.Error(), i)
		}
		carried.names, carried.errs = append(carried.names, name), append(carried.errs, err)
	}
}

type failure struct {
	Text    string   `cbor:"1,keyasint"`
	Is      uint     `cbor:"2,keyasint,omitempty"` // bits of portable
	Panic   bool     `cbor:"3,keyasint,omitempty"`
	Stack   string   `cbor:"4,keyasint,omitempty"`
	Errno   uint64   `cbor:"5,keyasint,omitempty"`
	Carried []string `cbor:"6,keyasint,omitempty"` // names
}

func encodeFailure(err error) []byte {
	var f failure
	if p, ok := err.(*PanicError); ok {
		f = failure{Text: p.Value, Stack: p.Stack, Panic: true}
	} else {
		f.Text = fmt.Sprint(err) // which survives a nil pointer as an error, and an Error that panics
		f.identify(err)
	}
	b, merr := encoder.Marshal(f)
	if merr != nil { // strings and numbers: cannot happen
		panic(merr)
	}
	return b
}

// identify notes what err is. Its methods are not ours, and may panic.
func (f *failure) identify(err error) {
	defer func() { recover() }()
	for i, target := range portable {
		if errors.Is(err, target) {
			f.Is |= 1 << i
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		f.Errno = uint64(errno)
	}
	carried.RLock()
	defer carried.RUnlock()
	for i, target := range carried.errs {
		if errors.Is(err, target) {
			f.Carried = append(f.Carried, carried.names[i])
		}
	}
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
	if f.Errno != 0 {
		e.is = append(e.is, syscall.Errno(f.Errno))
	}
	carried.RLock()
	defer carried.RUnlock()
	for i, name := range carried.names {
		if slices.Contains(f.Carried, name) {
			e.is = append(e.is, carried.errs[i])
		}
	}
	return e
}
