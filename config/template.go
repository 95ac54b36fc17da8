package config

// A View is what the templates of a program see: a cluster, from one of its
// nodes.
type View struct {
	Cluster string     // its id
	Index   int        // of the node that the template is expanded for
	Nodes   []NodeView // all of them, by index
}

// A NodeView is what templates see of one node.
type NodeView struct {
	Name   string            // "node-1"
	Dir    string            // for its data, absolute; "" for an attached one
	Listen map[string]string // by port, the host:port that it binds; nil for an attached one
	Addr   map[string]string // by port, the host:port that others dial
}

// An Expanded is what a program's templates say for one node.
type Expanded struct {
	Command []string          // nil if the program has a package
	Args    []string          // what comes after Command, or after the package's executable
	Env     map[string]string // to add to the environment
	Ready   []string          // Ready.Exec
	Reset   []string          // Reset.Exec
}

// Expand fills in the templates of a program for one node. Load has tried them
// on clusters of one and of three nodes; what they say of another can still
// fail (an index out of range, a result too long), and the error tells which
// key it is: it is an *Error.
func (p *Program) Expand(v View) (*Expanded, error) { return &Expanded{}, nil }

// Expand fills in the template of Exec for an attached node.
func (r *Ready) Expand(v View) ([]string, error) { return nil, nil }
