package diagnostics

import (
	"runtime"
	"slices"
	"testing"
)

// Every limit that is measured has a diagnosis for when it is used up.
func TestSurvey(t *testing.T) {
	limits, missing := Survey(t.Context())
	for _, m := range missing {
		t.Errorf("not measured: %s", m)
	}
	if runtime.GOOS == "linux" && !slices.ContainsFunc(limits, func(l Limit) bool { return l.Name == "memory" && l.Max > 0 }) {
		t.Errorf("the machine's memory is not among %v", limits)
	}
	for _, l := range limits {
		l.Used = 0
		if d := l.UsedUp("start 3 nodes"); d != nil {
			t.Errorf("%v: %v", l, d)
		}
		l.Used = l.Max
		if d := l.UsedUp("start 3 nodes"); d == nil || d.Code == Unknown {
			t.Errorf("%v, all used: %v", l, d)
		}
	}
}
