//go:build unix

package process

import (
	"context"
	"errors"

	"github.com/distkit/dist/runtime/engine"
)

// Run implements engine.Engine.
func (e *Engine) Run(ctx context.Context, c engine.Command) (engine.Node, error) {
	return nil, errors.ErrUnsupported
}

// Interrupt implements engine.Node.
func (n *node) Interrupt(signal string) error { return errors.ErrUnsupported }
