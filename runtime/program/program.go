package program

import (
	"context"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/engine"
)

// A Spec is one node of a program's cluster.
type Spec struct {
	Program    *config.Program
	Executable *Executable
	View       config.View   // the cluster from this node; its Dir is made if it is not there
	Env        []string      // what the program's env is added to; nil: os.Environ()
	Log        string        // file its output is appended to; "": the engine makes one
	Ready      time.Duration // how long it may take to be ready: config.ReadyTimeout
	Grace      time.Duration // how long it may take to stop: config.Grace
}

// Start starts the node and returns when it is ready. If it is not, it has
// been killed, and the error is an *engine.Error unless ctx ended. The node's
// working directory is its own (View.Dir).
func Start(ctx context.Context, e engine.Engine, s Spec) (engine.Node, error) { return nil, nil }

// Healthy tries once whether a node that was ready still is. Readiness by log
// cannot be tried again: then the node's ports have to accept connections. Its
// error is an *engine.Error.
func Healthy(ctx context.Context, s Spec, n engine.Node) error { return nil }

// Attached tries once whether a node of an attached cluster answers as its
// ready says; without one, its ports have to accept connections.
func Attached(ctx context.Context, a *config.Attach, v config.View) error { return nil }

// Stop asks a node to end as its program's stop says, and kills it if it has
// not by the end of the grace, or of ctx. It returns when the node and its
// process group are gone; killed says that it had to be. The error, an
// *engine.Error, is about a node that could not be ended.
func Stop(ctx context.Context, s Spec, n engine.Node) (killed bool, err error) { return false, nil }

// Reset runs the program's reset command for one node. Its error is an
// *engine.Error with the command's last lines, unless ctx ended.
func Reset(ctx context.Context, e engine.Engine, s Spec) error { return nil }
