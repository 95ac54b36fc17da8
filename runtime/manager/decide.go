package manager

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/diagnostics"
)

// An Action is what is done about a requirement.
type Action string

const (
	Start Action = "start" // nodes that nobody has used
	Reuse Action = "reuse" // used nodes that are provably clean
	Skip  Action = "skip"  // the test
	Fail  Action = "fail"  // the test
)

// A Situation is all that a decision depends on.
type Situation struct {
	Requirement requirement.Requirement
	Config      *config.Config
	Short       bool  // -short was given
	Machine     Limit // what this machine can ever carry
	Clean       int   // used nodes at hand that are provably clean
	Up          []Up  // clusters of the requirement's program that run and would do, but for their size
}

// Up is a program's cluster that runs already.
type Up struct {
	ID    string
	Nodes int
	Owner string // for reasons: "this test binary", "dist up (pid 4711)"
}

// A Limit is a number of nodes and what sets it.
type Limit struct {
	Nodes  int
	Source string
}

// A Decision says what is done, and why in one line.
type Decision struct {
	Action  Action
	Row     string // the rule that applied, see Rows
	Nodes   int    // size of the cluster, for Start and Reuse
	Cluster string // id of the one to take, where it is up already
	Reason  string
	Code    diagnostics.Code // for Skip and Fail: the diagnosis to tell
	Limit   Limit            // for a size that cannot be had: what is allowed
}

// Rows are the rules of Decide in the order they are tried; the first that
// applies decides.
var Rows = []struct{ Name, Doc string }{
	{"off", "mode is off: distributed tests are skipped"},
	{"short", "-short was given and short is skip"},
	{"unknown-program", "neither [program.NAME] nor [attach.NAME] is configured"},
	{"unknown-port", "the test asks for a port that the program, or the attached cluster, does not have"},
	{"attached-small", "the attached cluster has fewer nodes than the test can bear"},
	{"attached", "the cluster runs already, and its addresses are in [attach.NAME]"},
	{"too-large", "the smallest size the test can bear is beyond a limit"},
	{"up", "a cluster of the program is up, of the size wanted, and made as it would be made now"},
	{"manual", "mode is manual, and no such cluster is up: those of the test binary never are"},
	{"reuse", "enough used nodes are provably clean, and the test, or the configuration, takes such"},
	{"reduced", "the size asked for is beyond a limit, and the test bears fewer"},
	{"start", "otherwise"},
}

// Decide is the manager's decision. It starts nothing and asks nobody.
func Decide(s Situation) Decision {
	r, c := s.Requirement, s.Config
	switch {
	case c.Cluster.Mode == "off":
		return Decision{Action: Skip, Row: "off", Code: diagnostics.ModeOff,
			Reason: "distributed tests are switched off: cluster.mode = off, by " + c.Source("cluster.mode")}
	case s.Short && c.Cluster.Short == "skip":
		return Decision{Action: Skip, Row: "short", Code: diagnostics.ModeShort,
			Reason: "-short was given, and cluster.short = skip, by " + c.Source("cluster.short")}
	case r.Program != "" && c.Programs[r.Program] == nil && c.Attach[r.Program] == nil:
		return s.unavailable("unknown-program", diagnostics.ConfigProgram, Limit{},
			fmt.Sprintf("neither [program.%s] nor [attach.%[1]s] is configured", r.Program))
	}
	if port, known := s.unknownPort(); port != "" {
		return s.unavailable("unknown-port", diagnostics.ConfigPort, Limit{},
			fmt.Sprintf("the test asks for port %q, and %s has %s", port, r.Program, known))
	}

	want, source := r.Nodes, "the test"
	if want == 0 {
		want, source = c.DefaultNodes()
	}
	least := want
	if r.Min > 0 && c.Fallback.Reduce {
		least = min(r.Min, want)
	}
	if a := c.Attach[r.Program]; r.Program != "" && c.Programs[r.Program] == nil {
		return s.attached(len(a.Nodes), want, least)
	}
	limit, code := s.limit()
	if least > limit.Nodes {
		reason := fmt.Sprintf("%d nodes are needed and %d allowed, by %s", least, limit.Nodes, limit.Source)
		return s.unavailable("too-large", code, limit, reason)
	}
	size := min(want, limit.Nodes)
	if c.Cluster.Reuse != "never" {
		for _, up := range s.Up {
			if up.Nodes == size {
				return Decision{Action: Reuse, Row: "up", Nodes: size, Cluster: up.ID,
					Reason: fmt.Sprintf("cluster %s is up, of %s", up.ID, up.Owner)}
			}
		}
	}
	if c.Cluster.Mode == "manual" {
		what := "no cluster of the test binary is ever up already"
		if r.Program != "" {
			what = fmt.Sprintf("no cluster of %s with %s is up", r.Program, count(size, "node"))
		}
		return s.unavailable("manual", diagnostics.ModeManual, Limit{},
			"cluster.mode = manual, by "+c.Source("cluster.mode")+", and "+what)
	}
	switch {
	case r.Program == "" && reusable(r, c) && s.Clean >= size:
		return Decision{Action: Reuse, Row: "reuse", Nodes: size,
			Reason: count(s.Clean, "used node") + " at hand, provably clean"}
	case size < want:
		return Decision{Action: Start, Row: "reduced", Nodes: size,
			Reason: fmt.Sprintf("%d of %d nodes: %s allows no more, and the test bears %d", size, want, limit.Source, least)}
	}
	return Decision{Action: Start, Row: "start", Nodes: size,
		Reason: count(size, "node") + ", by " + source}
}

// attached decides about a cluster that runs already, of has nodes.
func (s Situation) attached(has, want, least int) Decision {
	name := s.Requirement.Program
	if least > has {
		return s.unavailable("attached-small", diagnostics.ClusterSize, Limit{has, "[attach." + name + "]"},
			fmt.Sprintf("%d nodes are needed, and the attached cluster %s has %d", least, name, has))
	}
	d := Decision{Action: Reuse, Row: "attached", Nodes: min(want, has), Cluster: name,
		Reason: fmt.Sprintf("cluster %s runs already, by %s", name, s.Config.Source("attach."+name))}
	if has < want {
		d.Reason += fmt.Sprintf(": %d of %d nodes, and the test bears %d", has, want, least)
	}
	return d
}

// unknownPort is a port that the test asks for and its program does not have,
// and those that it has; "" if there is none.
func (s Situation) unknownPort() (port, known string) {
	var ports []string
	switch r, c := s.Requirement, s.Config; {
	case r.Program == "":
		return "", ""
	case c.Programs[r.Program] != nil:
		ports = c.Programs[r.Program].Ports
	default:
		for _, n := range c.Attach[r.Program].Nodes {
			for name := range n {
				if !slices.Contains(ports, name) {
					ports = append(ports, name)
				}
			}
		}
		slices.Sort(ports)
	}
	known = strings.Join(ports, ", ")
	if known == "" {
		known = "none"
	}
	for _, p := range s.Requirement.Ports {
		if !slices.Contains(ports, p) {
			return p, known
		}
	}
	return "", ""
}

// reusable reports whether a test's nodes may be used ones, and may be used
// again after it.
func reusable(r requirement.Requirement, c *config.Config) bool {
	return c.Cluster.Reuse == "always" || c.Cluster.Reuse == "auto" && r.Reuse
}

// limit is the tighter of what the configuration and the machine allow.
func (s Situation) limit() (Limit, diagnostics.Code) {
	n, source := s.Config.MaxNodes()
	limit, code := Limit{n, source}, diagnostics.SizeMaxNodes
	if n < s.Config.Cluster.MaxNodes {
		code = diagnostics.SizeCI
	}
	if m := s.Config.Resources.MaxNodesOnMachine; m > 0 {
		s.Machine = Limit{m, "resources.max_nodes_on_machine, by " + s.Config.Source("resources.max_nodes_on_machine")}
	}
	if s.Machine.Nodes > 0 && s.Machine.Nodes < limit.Nodes {
		limit, code = s.Machine, diagnostics.SizeMachine
	}
	return limit, code
}

// unavailable applies the policy for tests whose cluster cannot be had.
func (s Situation) unavailable(row string, code diagnostics.Code, limit Limit, reason string) Decision {
	d := Decision{Action: Fail, Row: row, Code: code, Limit: limit, Reason: reason}
	if skip, why := skips(s.Requirement, s.Config); skip {
		d.Action = Skip
		d.Reason += "; skipped, because " + why
	}
	return d
}

// skips says whether a test is skipped when its cluster cannot be had.
func skips(r requirement.Requirement, c *config.Config) (skip bool, why string) {
	if r.Optional {
		return true, "the test is optional"
	}
	policy, source := c.Unavailable()
	return policy == "skip", source
}
