package runtime

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/manager"
)

// Facts of a test's cluster, as attributes of the test: "go test -json" passes
// them on as actions "attr", and with -v they are lines of their own.
const (
	attrCluster = "dist.cluster" // its name
	attrNodes   = "dist.nodes"   // how many
	attrProgram = "dist.program" // what they run, if it is not the test binary
	attrOutcome = "dist.outcome" // start | reuse | skip | fail
	attrReason  = "dist.reason"  // for that, in a line
	attrBackend = "dist.backend" // what has started the nodes
	attrCode    = "dist.code"    // of the diagnosis, where there is no cluster

	attrArtifacts = "dist.artifacts" // directory with what is kept of the test's run, where something is
)

// attribute attaches a fact to a test. Benchmarks have none: theirs would come
// between the name and the figures of a result's line.
func attribute(t testing.TB, key, value string) {
	if _, isB := t.(*testing.B); isB || value == "" {
		return
	}
	t.Attr(key, strings.Join(strings.Fields(value), " "))
}

// attributes are those of a test that has a cluster.
func (s *session) attributes(t testing.TB, l *manager.Lease) {
	attribute(t, attrCluster, l.ID)
	attribute(t, attrNodes, strconv.Itoa(l.Size()))
	attribute(t, attrProgram, l.Program())
	attribute(t, attrOutcome, string(l.Decision.Action))
	attribute(t, attrReason, l.Decision.Reason)
	attribute(t, attrBackend, s.manager.Backend())
}

// refusal attaches why a test has none.
func refusal(t testing.TB, err error) {
	outcome, reason := manager.Fail, err.Error()
	if u, ok := errors.AsType[*manager.Unavailable](err); ok {
		outcome, reason = u.Decision.Action, u.Decision.Reason
	} else if d, ok := errors.AsType[*diagnostics.Diagnosis](err); ok {
		reason = d.Line("")
	}
	attribute(t, attrOutcome, string(outcome))
	attribute(t, attrReason, reason)
	if d, ok := errors.AsType[*diagnostics.Diagnosis](err); ok {
		attribute(t, attrCode, string(d.Code))
	}
}
