package links

import "errors"

// Where a connection comes from, besides the index of a node.
const (
	// outside is whatever is no node: the test, and what it has started.
	outside = -1
	// unknown is a process that had closed the connection before it could be
	// found. It may have been a node.
	unknown = -2
)

var errNoSources = errors.New("it cannot be found out here which process a connection comes from")
