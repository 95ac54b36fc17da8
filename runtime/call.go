package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/wire"
)

// Outcomes of a call, see package dist.
type (
	RemoteError = wire.RemoteError
	PanicError  = wire.PanicError
)

// Call runs a function of the table on a node.
func Call[In, Out any](ctx context.Context, n manager.Node, f *Function, in In) (Out, error) {
	var zero Out
	op := "call " + ShortName(f.Name) + " on " + n.Name()
	body, err := wire.Marshal(in)
	if err != nil {
		return zero, fmt.Errorf("%s: encode the argument: %w", op, err)
	}
	result, err := n.Call(ctx, op, manager.MethodFunc+f.Name, body)
	if err != nil {
		if lost := (*manager.LostError)(nil); errors.As(err, &lost) {
			return zero, err // says what was called, and where
		}
		return zero, fmt.Errorf("%s: %w", op, err)
	}
	out, err := wire.Unmarshal[Out](result)
	if err != nil {
		return zero, fmt.Errorf("%s: decode the result: %w", op, err)
	}
	return out, nil
}

// CallAll runs a function of the table on several nodes at once.
func CallAll[In, Out any](ctx context.Context, nodes []manager.Node, f *Function, in In) ([]Out, error) {
	outs, errs, names := make([]Out, len(nodes)), make([]error, len(nodes)), make([]string, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		names[i] = n.Name()
		wg.Go(func() { outs[i], errs[i] = Call[In, Out](ctx, n, f, in) })
	}
	wg.Wait()
	return outs, foldCalls(names, errs)
}
