package links

import "errors"

// A protocol is how the kernel counts them.
type protocol uint8

const (
	tcp protocol = 6
	udp protocol = 17
)

// Where a connection or a datagram comes from, besides the index of a node.
const (
	// outside is the test itself.
	outside = -1
	// unknown is a process that had closed the connection before it could be
	// found. It may have been a node.
	unknown = -2
	// foreign is a process that is neither a node nor the test. It may turn out to
	// be a node that has just been started.
	foreign = -3
)

// ErrNamespaces is why there are no links where the configuration asks for
// another backend.
var ErrNamespaces = errors.New(`network.faults = "namespaces": this version has no faults by namespaces: say "links" or "auto"`)

var errNoSources = errors.New("it cannot be found out here which process a connection comes from")
