package process

import (
	"context"
	"errors"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/wire"
)

var errUnsupported = errors.New("nodes of the test binary need Unix sockets and process groups, which this engine does not have on Windows; run the tests under WSL, or on Linux or macOS")

// Start implements engine.Engine.
func (e *Engine) Start(context.Context, engine.Spec) (engine.Node, error) {
	return nil, &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhaseExec, Op: "start the test binary as a node", Err: errUnsupported}}
}

// Run implements engine.Engine.
func (e *Engine) Run(_ context.Context, c engine.Command) (engine.Node, error) {
	return nil, &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhaseExec, Op: "start " + c.Path, Path: c.Path, Err: errUnsupported}}
}

// Sweep implements engine.Engine.
func (e *Engine) Sweep([]engine.Node) []string { return nil }

// A Child is the node that this process is: never, on this system.
type Child struct{}

// Inherited returns nil: on this system no process is a node.
func Inherited() *Child { return nil }

// Serve is never called.
func (c *Child) Serve(wire.Handler, func(*wire.Conn)) error { return errUnsupported }

// Abandoned is never called.
func (c *Child) Abandoned() {}

type reaper struct{}

func startReaper(*run) (*reaper, error) { return nil, errUnsupported }
func (r *reaper) dismiss()              {}

func watchParent() {}
