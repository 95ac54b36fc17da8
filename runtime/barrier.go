package runtime

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/wire"
)

// See package dist.
type (
	BarrierError = manager.BarrierError
	Missing      = manager.Missing
)

// arrivals numbers the waits at barriers of this node.
var arrivals atomic.Uint64

// Barrier returns nil when every node of the cluster is at the barrier of this
// name; and the test, if it has said that it takes part (Cluster.Join). It may
// be used again: who returns from it and calls it once more waits for the next
// time that all meet. Several calls at the same time on one node are one arrival.
//
// If ctx ends first this node's arrival is taken back and the error is a
// *BarrierError that wraps ctx's error and says who is there, who is missing
// and where those are. A node that has ended, or ends, fails the barrier at once
// for all who wait: a *BarrierError that says how it ended. Once the node is
// restarted it may arrive again, and so may the others. Paused nodes are waited for.
//
// The idea is enterBarrier of Akka's and Pekko's test conductor; here a barrier
// fails for those whose context ends, and others go on waiting.
func (l *Local) Barrier(ctx context.Context, name string) error {
	op := fmt.Sprintf("wait at barrier %q", name)
	body, err := wire.Marshal(manager.BarrierRequest{ID: arrivals.Add(1), Name: name})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if l.ctx.Err() != nil {
		return fmt.Errorf("%s: the lease of this node has ended", op)
	}
	// That ctx ends is told to the test side, which decides whether that was
	// before all had met: the answer is the same for everybody.
	leave := func() { l.conn.Call(context.WithoutCancel(ctx), manager.MethodBarrierLeave, body) }
	defer context.AfterFunc(ctx, leave)()
	defer context.AfterFunc(l.ctx, leave)() // the node is being stopped
	b, err := l.conn.Call(context.WithoutCancel(ctx), manager.MethodBarrier, body)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	answer, err := wire.Unmarshal[manager.BarrierAnswer](b)
	if err != nil {
		return fmt.Errorf("%s: decode the answer: %w", op, err)
	}
	if !answer.Failed {
		return nil
	}
	e := &BarrierError{Name: name, Arrived: answer.Arrived, Missing: answer.Missing}
	if answer.GaveUp {
		if e.Err = ctx.Err(); e.Err == nil {
			e.Err = fmt.Errorf("the lease of this node has ended: %w", context.Canceled)
		}
	}
	return e
}
