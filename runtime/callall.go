package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/manager"
)

// callErrors are the errors of one call on several nodes. Its text leads with
// the one that the others are likeliest to have followed from.
type callErrors struct {
	errs []error // the one that leads first
	text string
}

func (e *callErrors) Error() string   { return e.text }
func (e *callErrors) Unwrap() []error { return e.errs }

// rank says how likely it is that an error is but what another node's has led
// to, from 0.
func rank(err error) int {
	lost, isLost := errors.AsType[*manager.LostError](err)
	_, isPanic := errors.AsType[*PanicError](err)
	switch {
	case isLost && lost.Diagnosis != nil:
		return 0
	case isPanic:
		return 1
	case isLost: // by the test
		return 2
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return 4
	}
	return 3
}

// foldCalls makes one error of those of a call by node, nil if there is none.
func foldCalls(names []string, errs []error) error {
	type failed struct {
		node string
		err  error
	}
	var all []failed
	for i, err := range errs {
		if err != nil {
			all = append(all, failed{names[i], err})
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b failed) int {
		if d := rank(a.err) - rank(b.err); d != 0 {
			return d
		}
		// Of nodes that were lost together the first to go is the cause.
		x, ok1 := errors.AsType[*manager.LostError](a.err)
		y, ok2 := errors.AsType[*manager.LostError](b.err)
		if ok1 && ok2 {
			return x.At.Compare(y.At)
		}
		return 0
	})
	e := new(callErrors)
	for _, f := range all {
		e.errs = append(e.errs, f.err)
	}
	if len(all) == 1 {
		return all[0].err
	}
	gone := rank(all[0].err) <= 2 // others may have missed it
	var b strings.Builder
	for len(all) > 0 {
		first := all[0]
		var alike []string
		var rest []failed
		for _, f := range all[1:] {
			if sameError(f.err, f.node, first.err, first.node) {
				alike = append(alike, f.node)
			} else {
				rest = append(rest, f)
			}
		}
		switch {
		case b.Len() == 0:
			b.WriteString(first.err.Error())
		case gone && isConsequence(first.err):
			line, _, _ := strings.Cut(first.err.Error(), "\n")
			fmt.Fprintf(&b, "\n    %-9s %s", "followed:", line)
		default:
			b.WriteString("\n" + first.err.Error())
		}
		if len(alike) > 0 {
			fmt.Fprintf(&b, "\n    %-9s the same on %s", "", strings.Join(alike, ", "))
		}
		all = rest
	}
	e.text = b.String()
	return e
}

// sameError reports whether two nodes have failed alike.
func sameError(a error, nodeA string, b error, nodeB string) bool {
	x, ok1 := errors.AsType[*manager.LostError](a)
	y, ok2 := errors.AsType[*manager.LostError](b)
	if ok1 && ok2 && x.Diagnosis != nil && y.Diagnosis != nil {
		return diagnostics.SameOn(x.Diagnosis, nodeA, y.Diagnosis, nodeB)
	}
	if ok1 != ok2 {
		return false
	}
	p, ok1 := errors.AsType[*PanicError](a)
	q, ok2 := errors.AsType[*PanicError](b)
	if ok1 && ok2 {
		return p.Value == q.Value
	}
	return strings.ReplaceAll(a.Error(), nodeA, "NODE") == strings.ReplaceAll(b.Error(), nodeB, "NODE")
}

// isConsequence reports whether an error reads like that of a peer of a node
// that is gone. Errors of node functions cross as text.
func isConsequence(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	text := err.Error()
	for _, s := range []string{"connection refused", "connection reset", "broken pipe", "i/o timeout", "EOF", "no route to host", "use of closed network connection", "deadline exceeded", "actively refused", "forcibly closed"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
