package events

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocs holds that docs/events.md has the fields and kinds that there are, and
// examples that can be read.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	table := func(head string) (names []string) {
		_, rest, ok := strings.Cut(text, head)
		if !ok {
			t.Fatalf("no table %q", head)
		}
		rows, _, _ := strings.Cut(rest, "\n\n")
		for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(rows, -1) {
			names = append(names, m[1])
		}
		return names
	}
	var fields, kinds []string
	for i, e := 0, reflect.TypeFor[Event](); i < e.NumField(); i++ {
		name, _, _ := strings.Cut(e.Field(i).Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	for _, k := range Kinds {
		kinds = append(kinds, string(k))
	}
	for _, c := range []struct {
		head string
		have []string
	}{{"\n| field |", fields}, {"\n| kind |", kinds}} {
		told, have := table(c.head), slices.Clone(c.have)
		slices.Sort(told)
		slices.Sort(have)
		if !slices.Equal(told, have) {
			t.Errorf("%s: the page has %q, the code %q", strings.TrimSpace(c.head), told, have)
		}
	}
	var file strings.Builder
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1) {
		file.WriteString(m[1])
	}
	rec, err := Read(strings.NewReader(file.String()))
	if err != nil || rec.Bad > 0 || len(rec.Events) != 1 || rec.Events[0].Kind != CallDone || rec.Header.CPUs != 8 {
		t.Errorf("the examples: %v, %+v", err, rec)
	}
}
