package requirement

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Conflict is a word on which a directive and a requirement call disagree.
type Conflict struct {
	Word      string // WordNodes, ...
	Directive string // what the directive says, as a word of it: "nodes=3"
	Call      string // what the call says, likewise
}

func (c *Conflict) Error() string {
	if c.Word == WordNodes {
		return fmt.Sprintf("the directive says %s, the call asks for more: %s", c.Directive, c.Call)
	}
	return fmt.Sprintf("the directive says %s, the call %s", c.Directive, c.Call)
}

// Merge combines what a test's directive says with what one requirement call
// says. What only one of them names is taken from it. What both name must
// agree, ports in any order; nodes alone may differ: the directive is then the
// upper bound of a size that the call computed. The error is a *Conflict, and
// the result is still the best that could be made of the two.
func Merge(directive, call Requirement) (Requirement, error) {
	r := call.or(directive)
	var conflict error
	disagree := func(word, d, c string) {
		if conflict == nil {
			conflict = &Conflict{Word: word, Directive: word + "=" + d, Call: word + "=" + c}
		}
	}
	if directive.Nodes != 0 && call.Nodes > directive.Nodes {
		disagree(WordNodes, strconv.Itoa(directive.Nodes), strconv.Itoa(call.Nodes))
		r.Nodes = directive.Nodes
	}
	switch {
	case directive.Min != 0 && call.Min != 0 && directive.Min != call.Min:
		disagree(WordMin, strconv.Itoa(directive.Min), strconv.Itoa(call.Min))
		r.Min = directive.Min
	case conflict == nil && directive.checkMin() == nil && call.checkMin() == nil && r.checkMin() != nil:
		// One names the size, the other a minimum above it.
		if call.Nodes != 0 && directive.Min > call.Nodes {
			conflict = &Conflict{Word: WordMin, Directive: word(WordMin, directive.Min), Call: word(WordNodes, call.Nodes)}
		} else {
			conflict = &Conflict{Word: WordMin, Directive: word(WordNodes, directive.Nodes), Call: word(WordMin, call.Min)}
		}
	}
	if directive.Program != "" && call.Program != "" && directive.Program != call.Program {
		disagree(WordProgram, directive.Program, call.Program)
		r.Program = directive.Program
	}
	if len(directive.Ports) > 0 && len(call.Ports) > 0 {
		if !sameSet(directive.Ports, call.Ports) {
			disagree(WordPorts, strings.Join(directive.Ports, ","), strings.Join(call.Ports, ","))
		}
		r.Ports = directive.Ports
	}
	if directive.Timeout != 0 && call.Timeout != 0 && directive.Timeout != call.Timeout {
		disagree(WordTimeout, formatTimeout(directive.Timeout), formatTimeout(call.Timeout))
		r.Timeout = directive.Timeout
	}
	r.Ports = slices.Clone(r.Ports)
	return r, conflict
}

func word(name string, n int) string { return name + "=" + strconv.Itoa(n) }

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// WithDefault is r completed from the package's default, which is for
// requirements that name no size and leaves all others as they are.
func (r Requirement) WithDefault(def Requirement) Requirement {
	if r.Nodes != 0 {
		return r
	}
	r = r.or(def)
	r.Ports = slices.Clone(r.Ports)
	return r
}

// or takes what r does not name from o. A word without a value holds if either
// has it: there is no way to say its opposite.
func (r Requirement) or(o Requirement) Requirement {
	if r.Nodes == 0 {
		r.Nodes = o.Nodes
	}
	if r.Min == 0 {
		r.Min = o.Min
	}
	if r.Program == "" {
		r.Program = o.Program
	}
	if len(r.Ports) == 0 {
		r.Ports = o.Ports
	}
	if r.Timeout == 0 {
		r.Timeout = o.Timeout
	}
	r.Reuse = r.Reuse || o.Reuse
	r.Shared = r.Shared || o.Shared
	r.Optional = r.Optional || o.Optional
	return r
}

// Join is the one requirement that stands for several calls of one test, on
// different paths or in different subtests: the largest size, and beyond that
// only what all of them say. [Merge] of the result with any one of the calls
// is therefore free of conflict, and gives that call what it asks for.
func Join(a, b Requirement) Requirement {
	j := Requirement{
		Nodes:    max(a.Nodes, b.Nodes),
		Reuse:    a.Reuse && b.Reuse,
		Shared:   a.Shared && b.Shared,
		Optional: a.Optional && b.Optional,
	}
	if j.Nodes != 0 {
		// One that names only a minimum may need more than the other's size.
		j.Nodes = max(j.Nodes, a.Min, b.Min)
	}
	if a.Min == b.Min && a.checkMin() == nil && b.checkMin() == nil {
		j.Min = a.Min
	}
	if a.Program == b.Program {
		j.Program = a.Program
	}
	if sameSet(a.Ports, b.Ports) {
		j.Ports = slices.Clone(a.Ports)
	}
	if a.Timeout == b.Timeout {
		j.Timeout = a.Timeout
	}
	if j.Program == "" {
		j.Shared = false
	}
	return j
}
