package runtime

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/manager"
)

// However short a test puts it, a report has the whole diagnosis.
func TestReportHasWholeDiagnosis(t *testing.T) {
	d := diagnostics.Diagnose(diagnostics.Failure{Phase: diagnostics.PhaseConfig, Op: "have a cluster for TestX", Err: errors.New("distributed.toml:3:1: unknown key")})
	u := &manager.Unavailable{Decision: manager.Decision{Reason: "no cluster"}, Diagnosis: d}
	r := new(report)
	r.failed("TestA", u)
	r.skipped("TestB", u)
	r.failed("TestC", d)
	r.failed("TestD", errors.New("something else"))
	b, err := json.Marshal(r.r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ outcome, reason string }{{"failed", "no cluster"}, {"skipped", "no cluster"}, {"failed", d.Error()}} {
		got := back.Tests[i]
		if got.Outcome != want.outcome || got.Reason != want.reason || got.Code != string(d.Code) || got.Diagnosis == nil || got.Diagnosis.Error() != d.Error() {
			t.Errorf("%s: %+v", got.Test, got)
		}
	}
	if got := back.Tests[3]; got.Diagnosis != nil || !strings.Contains(got.Reason, "something else") {
		t.Errorf("%+v", got)
	}
}
