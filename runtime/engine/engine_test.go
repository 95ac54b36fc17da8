package engine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRaceReport(t *testing.T) {
	const sep = "==================\n"
	report := raceMark + "\nWrite at 0x1 by goroutine 7:\n  p.f()"
	file := filepath.Join(t.TempDir(), "log")
	for _, test := range []struct {
		name, before, after string
		from                int64
		found               bool
	}{
		{"alone", "", "\n" + sep, 0, true},
		{"without an end", "", "\n", 0, true},
		{"behind words", "hello\n" + sep, "\n" + sep + "more\n" + sep, 0, true},
		{"of before", "", "\n" + sep, 10, false},
		{"later", sep + raceMark + "\n  p.g()\n" + sep, "\n" + sep, 60, true},
		{"cut by a part's end", strings.Repeat("x", 256<<10-5), "\n" + sep, 0, true},
		{"cut by the next part's end", strings.Repeat("x", 2*256<<10-2*len(raceMark)+3), "\n" + sep, 0, true},
		{"far behind", strings.Repeat("x", 3<<20), "\n" + sep + strings.Repeat("y", 1<<20), 0, true},
	} {
		if err := os.WriteFile(file, []byte(test.before+report+test.after), 0o600); err != nil {
			t.Fatal(err)
		}
		var want []string
		if test.found {
			want = strings.Split(report, "\n")
		}
		if got := RaceReport(file, test.from); !slices.Equal(got, want) {
			t.Errorf("%s: %.300q", test.name, got)
		}
	}
	if err := os.WriteFile(file, []byte(raceMark+strings.Repeat("\nx", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(RaceReport(file, 0), "\n"); len(got) > 256<<10 || !strings.HasPrefix(got, raceMark+"\nx") {
		t.Errorf("a report without an end: %d bytes", len(got))
	}
	if got := RaceReport(file+"x", 0); got != nil {
		t.Errorf("no log: %q", got)
	}
}
