package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/distkit/dist/runtime"
)

// FuzzReport sums up what a test binary has left: of another version of this
// module, perhaps, or cut when the disk was full. No test is lost.
func FuzzReport(f *testing.F) {
	b, err := json.Marshal(runtime.Report{Package: "example.com/p_test", Ended: true, Tests: []runtime.TestReport{
		{Test: "TestX", Outcome: "leased", Nodes: 3}, {Test: "TestY", Outcome: "skipped", Reason: "a\nb | c"}, {Test: "TestZ", Outcome: "failed"},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:40])
	f.Add([]byte(`{"waits":[9223372036854775807,-1],"tests":[{}],"stats":{"Started":-1}}`))
	f.Add([]byte(`{"tests":[{"outcome":"unheard","diagnosis":{}}]}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "report-1.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		var r runtime.Report
		unreadable := json.Unmarshal(b, &r)
		s, err := summarize(dir, nil, true)
		if (err != nil) != (unreadable != nil) {
			t.Fatalf("%q: %v, and %v", b, err, unreadable)
		}
		if err != nil {
			return
		}
		n := s.Tests
		for _, r := range append(s.Skipped, s.Failed...) {
			n += r.Tests
		}
		if n != len(r.Tests) || len(s.refused) != n-s.Tests {
			t.Errorf("%q: %d tests of %d, %d refused", b, n, len(r.Tests), len(s.refused))
		}
		if (len(s.Unfinished) == 1) == r.Ended {
			t.Errorf("%q: ended: %v, unfinished: %q", b, r.Ended, s.Unfinished)
		}
		if s.markdown() == "" {
			t.Errorf("%q: nothing is said", b)
		}
	})
}
