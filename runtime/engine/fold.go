package engine

import (
	"context"
	"errors"

	"github.com/distkit/dist/runtime/diagnostics"
)

// Fold makes one error of those that nodes, by index, have failed with: the one
// that the others are likeliest to have followed from, with those in its
// Failure. What was given up because another node failed counts for nothing
// beside that. It is nil if all are.
func Fold(errs []error, name func(i int) string) error {
	var (
		given error // given up
		fs    []diagnostics.Failure
		plain error // the first that is no *Error
	)
	for i, err := range errs {
		var e *Error
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled):
			if given == nil {
				given = err
			}
		case errors.As(err, &e):
			f := e.Failure
			if f.Node == "" {
				f.Node = name(i)
			}
			fs = append(fs, f)
		case plain == nil:
			plain = err
		}
	}
	switch {
	case len(fs) > 0:
		return &Error{diagnostics.Fold(fs)}
	case plain != nil:
		return plain
	}
	return given
}
