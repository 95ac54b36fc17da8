//go:build !linux

package namespaces

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"runtime"

	"github.com/distkit/dist/runtime/network"
)

// A Network is the networks of the nodes of one cluster. There is none on this
// system.
type Network struct{ network.Faults }

// A Host is what a node has for a network.
type Host struct{}

var errNone = errors.New("there are no network namespaces on " + runtime.GOOS)

// Between makes a network for each node. It cannot here.
func Between(nodes int, ports []string, addr func(node int, port string) string, hostPorts ...int) (*Network, error) {
	return nil, &network.Unsupported{Fault: "a fault between nodes", Backend: Backend, Why: errNone.Error()}
}

// Try says why there are no networks of nodes.
func Try() error { return errNone }

// TryShaping says why nothing can be delayed between them.
func TryShaping() error { return errNone }

// Host returns the network of a node.
func (*Network) Host(node int) *Host { return nil }

// Start starts a command in the network of the host.
func (*Host) Start(cmd *exec.Cmd) error { return errNone }

// Dial connects to an address as a process on the host would.
func (*Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) { return nil, errNone }
