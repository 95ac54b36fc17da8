package diagnostics

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Fold makes one failure of those that several nodes, or tries, had together:
// it is the one that the others are likeliest to have followed from, names in
// Alike the nodes that failed for the same cause, and has a line in Details for
// each of the others. There must be one at least, each with its Node.
func Fold(fs []Failure) Failure {
	ds := make([]*Diagnosis, len(fs))
	for i, f := range fs {
		ds[i] = Diagnose(f)
	}
	lead := Lead(ds)
	f := fs[lead]
	f.Details = f.Details[:len(f.Details):len(f.Details)]
	for i, d := range ds {
		switch {
		case i == lead:
		case SameOn(d, fs[i].Node, ds[lead], f.Node):
			f.Alike = append(f.Alike, fs[i].Node)
		default:
			f.Details = append(f.Details, d.Line(fs[i].Node))
		}
	}
	return f
}

// SameOn reports whether diagnoses of two nodes are the same but for the nodes.
func SameOn(a *Diagnosis, nodeA string, b *Diagnosis, nodeB string) bool {
	words := func(d *Diagnosis, node string) string {
		if node == "" {
			return gist(d.Cause)
		}
		return gist(strings.ReplaceAll(d.Cause, node, "NODE"))
	}
	return a.Code == b.Code && words(a, nodeA) == words(b, nodeB)
}

// Same reports whether two diagnoses say the same of the world, whatever they
// kept from being done.
func (d *Diagnosis) Same(e *Diagnosis) bool { return SameOn(d, "", e, "") }

var number = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`0x[0-9a-fA-F]+|[0-9]+`)
})

// gist is a text without what differs each time that the same thing goes wrong:
// times, process ids, addresses, counts.
func gist(text string) string { return number().ReplaceAllString(text, "N") }

// Lead returns the index of the diagnosis that leads: the first of those that
// follow least from others.
func Lead(ds []*Diagnosis) int {
	lead := 0
	for i, d := range ds {
		if d.follows() < ds[lead].follows() {
			lead = i
		}
	}
	return lead
}

// Order is negative if a leads b, 0 if that cannot be told.
func Order(a, b *Diagnosis) int { return a.follows() - b.follows() }

// follows says how likely it is that a diagnosis is but what another one has led
// to, from 0.
func (d *Diagnosis) follows() int {
	switch d.Code {
	case TimeCanceled: // somebody gave up because of another one
		return 3
	case NodeHandshakeTimeout, NodeHung, TimeDeadline, Unknown:
		return 2
	case NodeExitEarly, NodeExit, NodeExitUnnoticed, ProgramNotReady, ProgramUnhealthy:
		return 1 // it may have ended, or waited, for want of the others
	}
	return 0
}

// Line is the diagnosis in one line, for where it is not the one that leads.
// what, if not "", is put before it.
func (d *Diagnosis) Line(what string) string {
	if what != "" {
		what += ": "
	}
	return fmt.Sprintf("%s%s [%s]", what, firstLine(d.Cause), d.Code)
}

// Short is the diagnosis for a place where it has been told before: where says
// which.
func (d *Diagnosis) Short(where string) string {
	text := fmt.Sprintf("dist: %s   [%s]\n    %-9s %s", d.Problem, d.Code, "cause:", firstLine(d.Cause))
	if d.Fallback != "" {
		text += fmt.Sprintf("\n    %-9s %s", "instead:", d.Fallback)
	}
	return text + fmt.Sprintf("\n    %-9s told in full by %s", "more:", where)
}
