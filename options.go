package dist

import (
	"fmt"
	"time"

	"github.com/distkit/dist/requirement"
)

// An Option is a part of a requirement, as a word of the directive is. Where a
// test has both they must agree; a size that is computed may be smaller than
// the directive's.
type Option struct {
	set func(*requirement.Requirement)
	err error
}

func option(err error, set func(*requirement.Requirement)) Option { return Option{set, err} }

// Nodes asks for n nodes: nodes=N in a directive. The test gets exactly n,
// unless Min is given.
func Nodes(n int) Option {
	return option(requirement.CheckSize("nodes", n), func(r *requirement.Requirement) { r.Nodes = n })
}

// Min is the smallest size with which the test still means something: min=N in
// a directive. It allows fewer nodes than Nodes where there can be no more.
func Min(n int) Option {
	return option(requirement.CheckSize("min", n), func(r *requirement.Requirement) { r.Min = n })
}

// Program has the nodes run the [program.NAME] of distributed.toml instead of
// the test binary: program=NAME in a directive.
func Program(name string) Option {
	return option(requirement.CheckProgram(name), func(r *requirement.Requirement) { r.Program = name })
}

// Ports gives each node named ports: ports=a,b in a directive. Their addresses
// are known before any node starts.
func Ports(names ...string) Option {
	return option(requirement.CheckPorts(names...), func(r *requirement.Requirement) { r.Ports = append(r.Ports, names...) })
}

// Reuse takes nodes that served an earlier test, if they are provably clean,
// and lets later tests have this one's: reuse in a directive.
func Reuse() Option { return option(nil, func(r *requirement.Requirement) { r.Reuse = true }) }

// Shared lets others lease a program's cluster at the same time, and takes its
// data as it is: shared in a directive.
func Shared() Option { return option(nil, func(r *requirement.Requirement) { r.Shared = true }) }

// Optional has the test skipped, rather than fail, if no cluster can be had:
// optional in a directive.
func Optional() Option { return option(nil, func(r *requirement.Requirement) { r.Optional = true }) }

// Timeout is how long to wait for the cluster: timeout=30s in a directive.
func Timeout(d time.Duration) Option {
	return option(requirement.CheckTimeout(d), func(r *requirement.Requirement) { r.Timeout = d })
}

// required is what options come to.
func required(opts []Option) (requirement.Requirement, error) {
	var r requirement.Requirement
	for _, o := range opts {
		if o.set == nil {
			return r, fmt.Errorf("an empty dist.Option: use the functions Nodes, Min, Ports, …")
		}
		if o.err != nil {
			return r, o.err
		}
		o.set(&r)
	}
	return r, nil
}
