package forkexec

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Start is cmd.Start. Its error is what Explain makes of it.
func Start(cmd *exec.Cmd) error {
	// What os/exec would open for the child and close again is opened here, once:
	// it must still be there when an error is looked at.
	if cmd.Stdin == nil || cmd.Stdout == nil || cmd.Stderr == nil {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer null.Close()
		if cmd.Stdin == nil {
			cmd.Stdin = null
			defer func() { cmd.Stdin = nil }()
		}
		for _, w := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
			if *w == nil {
				*w = null
				defer func() { *w = nil }()
			}
		}
	}
	err := cmd.Start()
	if !errors.Is(err, syscall.EBADF) {
		return err
	}
	var files []*os.File
	for _, std := range []any{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		if f, ok := std.(*os.File); ok {
			files = append(files, f)
		}
	}
	var given []int
	for _, f := range append(files, cmd.ExtraFiles...) {
		if f != nil {
			given = append(given, int(f.Fd()))
		}
	}
	return Explain(err, 3+len(cmd.ExtraFiles), given...)
}

// Explain returns err, or, if that is EBADF because a child that was to have so
// many descriptors needed a number beyond the limit, the same with
// syscall.EMFILE in its place. given are those of its descriptors whose numbers
// are known; one of them that is not open is an explanation of its own.
func Explain(err error, descriptors int, given ...int) error {
	if !errors.Is(err, syscall.EBADF) || !beyondLimit(descriptors, given) {
		return err
	}
	if p, ok := err.(*os.PathError); ok {
		return &os.PathError{Op: p.Op, Path: p.Path, Err: tooMany{}}
	}
	return tooMany{}
}

// tooMany is EMFILE in the words of what has happened.
type tooMany struct{}

func (tooMany) Error() string {
	return "bad file descriptor: too many open files, a copy of one would have had a number beyond the limit"
}

func (tooMany) Unwrap() error { return syscall.EMFILE }
