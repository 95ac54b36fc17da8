package runtime

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/manager"
)

// told remembers which diagnoses the tests of this binary have been given, so
// that what keeps all of them from having a cluster is told whole once. The zero
// told has heard nothing. It is safe for concurrent use.
type told struct {
	mu   sync.Mutex
	list []telling
}

type telling struct {
	test string
	skip bool // the test was skipped: what it says is shown with -v only
	d    *diagnostics.Diagnosis
}

// text is what a test is to say of an error: all of it, or who has said all.
func (o *told) text(test string, skip bool, err error) string {
	d, ok := errors.AsType[*diagnostics.Diagnosis](err)
	if !ok {
		return err.Error()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.list {
		if t.d.Same(d) && (skip || !t.skip) {
			short := *d
			if skip && short.Fallback == "" {
				short.Fallback = "the test is skipped"
			}
			return short.Short(t.test)
		}
	}
	o.list = append(o.list, telling{test, skip, d})
	return d.Error()
}

// foldProblems puts what went wrong on several nodes at the end of a lease in
// the order in which one is likely to have led to another, and joins what is the
// same.
func foldProblems(problems []manager.Problem) []manager.Problem {
	var folded []manager.Problem
	var alike [][]string
	for _, p := range problems {
		i := slices.IndexFunc(folded, func(q manager.Problem) bool {
			return p.Fails == q.Fails && diagnostics.SameOn(p.Diagnosis, p.Node, q.Diagnosis, q.Node)
		})
		if i < 0 {
			folded, alike = append(folded, p), append(alike, nil)
			continue
		}
		if !slices.Contains(alike[i], p.Node) && p.Node != folded[i].Node {
			alike[i] = append(alike[i], p.Node)
		}
		folded[i].Stacks += p.Stacks
	}
	for i, nodes := range alike {
		if len(nodes) > 0 {
			d := *folded[i].Diagnosis
			d.Evidence = append([]string{"the same on " + strings.Join(nodes, ", ")}, d.Evidence...)
			folded[i].Diagnosis = &d
		}
	}
	slices.SortStableFunc(folded, func(p, q manager.Problem) int { return diagnostics.Order(p.Diagnosis, q.Diagnosis) })
	return folded
}
