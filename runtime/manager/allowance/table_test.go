package allowance

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func id(n int) string { return fmt.Sprintf("p%016x", n) }

func sample() table {
	return table{next: 8, records: []record{
		{id: id(1), pid: 11, tests: 5, spare: 2, since: 1000, name: "example.com/a", test: "TestA"},
		{id: id(2), pid: 12, wants: 3, ticket: 7, name: `with "quotes" and  spaces`},
		{id: id(3), pid: 13, kept: 3, since: 500, name: "dist up", test: "etcd"},
	}}
}

func TestTableSurvives(t *testing.T) {
	want := sample()
	b := want.format()
	got, whole := parse(append(slices.Clone(b), "what an earlier one had\n"...))
	if !whole || got.next != want.next || !slices.Equal(got.records, want.records) {
		t.Errorf("got %+v, whole %v", got, whole)
	}
	// Cut anywhere: never believed to be whole, never a line that was not there.
	for n := range len(b) {
		got, whole := parse(b[:n])
		if whole {
			t.Errorf("cut at %d of %d: taken for whole", n, len(b))
		}
		for _, r := range got.records {
			if !slices.Contains(want.records, r) {
				t.Errorf("cut at %d: %+v", n, r)
			}
		}
	}
	// Any byte changed.
	for i := range b {
		c := slices.Clone(b)
		c[i] ^= 1
		if got, whole := parse(c); whole && (i >= headerSize || got.next == want.next) {
			t.Errorf("byte %d changed: taken for whole: %q", i, c)
		}
	}
}

func TestNonsenseInTheTable(t *testing.T) {
	for _, line := range []string{
		"", "x", "../../etc/passwd 1 1 0 0 0 0 0 \"\" \"\"", id(1), id(1) + " 1",
		id(1) + " -1 1 0 0 0 0 0 \"a\" \"b\"",
		id(1) + " 0 1 0 0 0 0 0 \"a\" \"b\"",
		id(1) + " 1 99999999 0 0 0 0 0 \"a\" \"b\"",
		id(1) + " 1 1 0 0 0 9223372036854775807 0 \"a\" \"b\"",
		id(1) + " 1 1 0 0 0 0 0 \"a \"b\"",
		id(1) + " 1 1 0 0 0 0 0 \"a\" \"b\" c",
	} {
		if r, ok := parseRecord(line + "\n"); ok {
			t.Errorf("%q: %+v", line, r)
		}
	}
	r, ok := parseRecord(id(1) + ` 1 1 0 0 0 0 0 "a\x1b[31m\n" "` + strings.Repeat("x", 5000) + "\"\n")
	if !ok || r.name != "a[31m" || len(r.test) != mostText {
		t.Errorf("%v %+v", ok, r)
	}
	many := new(table)
	for i := range mostRecords + 10 {
		many.records = append(many.records, record{id: id(i), pid: 1})
	}
	if got, whole := parse(many.format()); whole || len(got.records) != mostRecords {
		t.Errorf("%d records, whole %v", len(got.records), whole)
	}
}

func FuzzTable(f *testing.F) {
	s := sample()
	f.Add(s.format())
	f.Add([]byte("dist allowance 1 "))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := parse(b)
		again, whole := parse(got.format())
		if !whole || !slices.Equal(got.records, again.records) || got.next != again.next {
			t.Errorf("%q gives %+v, and that %+v", b, got, again)
		}
		if !bytes.Equal(got.format(), again.format()) {
			t.Errorf("%q", b)
		}
	})
}

func TestJudge(t *testing.T) {
	room := func(n int) func() int { return func() int { return n } }
	a := func(tests, spare int) record { return record{id: id(1), tests: tests, spare: spare} }
	waits := func(n, wants int, ticket uint64) record { return record{id: id(n), wants: wants, ticket: ticket} }
	for _, test := range []struct {
		name    string
		records []record
		ask     ask
		want    verdict
	}{
		{"nobody else", nil, ask{nodes: 5}, verdict{granted: true, first: true}},
		{"as much as there is", []record{a(5, 0)}, ask{nodes: 5}, verdict{granted: true, first: true}},
		{"one too many", []record{a(6, 0)}, ask{nodes: 5}, verdict{first: true}},
		{"idle ones are in the way", []record{a(0, 6)}, ask{nodes: 5}, verdict{first: true}},
		{"its own are not", []record{{id: id(9), spare: 6}}, ask{nodes: 5, idle: 5}, verdict{granted: true, first: true}},
		{"its own are counted once", []record{a(5, 0), {id: id(9), spare: 5}}, ask{nodes: 5, idle: 5}, verdict{granted: true, first: true}},
		{"too large and alone", nil, ask{nodes: 64}, verdict{granted: true, first: true}},
		{"too large and not alone", []record{a(1, 0)}, ask{nodes: 64}, verdict{first: true}},
		{"too large beside what stays", []record{{id: id(1), kept: 3}}, ask{nodes: 8}, verdict{granted: true, first: true}},
		{"what stays is counted", []record{{id: id(1), kept: 3}, {id: id(2), tests: 1}}, ask{nodes: 7}, verdict{first: true}},
		{"holding", []record{a(10, 0)}, ask{nodes: 5, holding: true}, verdict{granted: true, first: true, over: 5}},
		{"holding, with some room", []record{a(8, 0)}, ask{nodes: 5, holding: true}, verdict{granted: true, first: true, over: 3}},
		{"holding, with room", []record{a(1, 0)}, ask{nodes: 5, holding: true}, verdict{granted: true, first: true}},
		{"holding, and others wait", []record{a(1, 0), waits(2, 9, 3)}, ask{nodes: 5, holding: true}, verdict{granted: true, first: true}},
		{"behind another", []record{a(1, 0), waits(2, 10, 3)}, ask{nodes: 1, ticket: 4}, verdict{}},
		{"before another", []record{a(1, 0), waits(2, 10, 5)}, ask{nodes: 1, ticket: 4}, verdict{granted: true, first: true}},
		{"behind one that does not take its turn", []record{a(1, 0), waits(2, 3, 3)}, ask{nodes: 1, ticket: 4, passed: map[string]bool{id(2): true}}, verdict{granted: true, first: true}},
		{"no memory", []record{a(1, 0)}, ask{nodes: 5, room: room(4)}, verdict{first: true}},
		{"memory enough", []record{a(1, 0)}, ask{nodes: 5, room: room(5)}, verdict{granted: true, first: true}},
		{"no memory, but nobody to wait for", nil, ask{nodes: 5, room: room(0)}, verdict{granted: true, first: true}},
	} {
		test.ask.id, test.ask.total = id(9), 10
		if test.ask.ticket == 0 {
			test.ask.ticket = 9
		}
		tab := table{next: 10, records: test.records}
		if got := tab.judge(test.ask); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestSpares(t *testing.T) {
	for _, test := range []struct {
		name    string
		records []record
		want    bool
	}{
		{"free", []record{{id: id(1), tests: 5}}, true},
		{"no room", []record{{id: id(1), tests: 6}}, false},
		{"somebody waits", []record{{id: id(1), tests: 1, wants: 2}}, false},
	} {
		tab := table{records: test.records}
		if got := tab.spares(ask{nodes: 5, total: 10}); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestHolders(t *testing.T) {
	tab := sample()
	lines, used := tab.holders(ask{id: id(4), ticket: 9}, time.UnixMilli(3500))
	got := strings.Join(lines, "\n")
	want := `etcd of dist up (pid 13) has had 3 nodes for 3s
TestA of example.com/a (pid 11) has had 5 nodes for 2.5s, and 2 spare
1 other process asked before`
	if got != want || used != 10 {
		t.Errorf("%d used\n%s", used, got)
	}
}
