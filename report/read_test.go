package report_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/distkit/dist/report"
	"github.com/distkit/dist/report/internal/sample"
)

const header = `{"schema":"dist.events/1","run":"r","package":"example.com/kv","pid":7}` + "\n"

func read(t *testing.T, file string) *report.Run {
	t.Helper()
	run, err := report.Read(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       string // times and texts
		malformed  int
		cut        bool
	}{
		{"nothing", "", "", 0, false},
		{"a header", header, "", 0, false},
		{"half a header", header[:20], "", 0, true},
		{"in order of time, and of lines", header + `{"t":2,"kind":"log","text":"b"}` + "\n" + `{"t":1,"kind":"log","text":"a"}` + "\n" + `{"t":2,"kind":"log","text":"c"}` + "\n",
			"1 a, 2 b, 2 c", 0, false},
		{"the last line is cut", header + `{"t":1,"kind":"log","text":"a"}` + "\n" + `{"t":2,"ki`, "1 a", 0, true},
		{"the last line is whole, its newline is not there", header + `{"t":1,"kind":"log","text":"a"}`, "1 a", 0, false},
		{"no header", `{"t":1,"kind":"log","text":"a"}` + "\n", "1 a", 0, false},
		{"empty lines", header + "\n\r\n" + `{"t":1,"kind":"log","text":"a"}` + "\r\n", "1 a", 0, false},
		{"what is no event", header + "x\n[]\n{}\nnull\n" + `{"t":1,"kind":"log","text":"a"}` + "\n", "1 a", 4, false},
		{"fields of other types", header + `{"t":"1","pid":"x","kind":"log","nodes":3,"text":"a"}` + "\n", "0 a", 0, false},
		{"impossible times", header + `{"t":-9,"dur":-1,"kind":"log","text":"a"}` + "\n" + `{"t":9223372036854775807,"dur":9223372036854775807,"kind":"log","text":"b"}` + "\n",
			"0 a, 4503599627370496 b", 0, false},
		{"a call that ended", header + `{"t":1,"kind":"call","id":1,"text":"a"}` + "\n" + `{"t":1,"kind":"call.done","id":1,"text":"b"}` + "\n" + `{"t":1,"kind":"call","id":2,"text":"c"}` + "\n",
			"1 b, 1 c", 0, false},
		{"controls", header + `{"t":1,"kind":"log","text":"\u001b[1;31mred\u001b[0m \u001b]0;x\u0007 \u202e\u2028 tab\t"}` + "\n",
			"1 red ␛]0;x␇ <U+202E><U+2028> tab\t", 0, false},
		{"room that was not used", header + `{"t":1,"kind":"log","text":"a"}` + "\n" + strings.Repeat("\x00", 9000), "1 a", 0, false},
		{"room in the middle", header + strings.Repeat("\x00", 90) + `{"t":1,"kind":"log","text":"a"}` + "\n", "1 a", 0, false},
		{"not UTF-8", header + "{\"t\":1,\"kind\":\"log\",\"text\":\"\xff\"}\n", "1 \ufffd", 0, false},
		{"fields and kinds to come", header + `{"t":1,"kind":"new","text":"a","new":{"x":[1]}}` + "\n", "1 a", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := read(t, test.file)
			var got []string
			for _, e := range run.Events {
				got = append(got, fmt.Sprintf("%d %s", e.At, e.Text))
				if e.End() < e.At {
					t.Errorf("ends before it begins: %+v", e)
				}
			}
			if s := strings.Join(got, ", "); s != test.want {
				t.Errorf("events %q, want %q", s, test.want)
			}
			if run.Malformed != test.malformed || run.Cut != test.cut {
				t.Errorf("malformed %d, cut %v; want %d, %v", run.Malformed, run.Cut, test.malformed, test.cut)
			}
			var page bytes.Buffer
			if err := report.Write(&page, run, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// A file cut anywhere is read up to there.
func TestReadCut(t *testing.T) {
	var b bytes.Buffer
	if err := (sample.Run{}).Write(&b); err != nil {
		t.Fatal(err)
	}
	whole := len(read(t, b.String()).Events)
	for n := 0; n < b.Len(); n += 307 {
		run := read(t, b.String()[:n])
		if run.Malformed != 0 || len(run.Events) > whole {
			t.Fatalf("cut at %d: %d events, %d lines that are none", n, len(run.Events), run.Malformed)
		}
		report.Analyze(run)
	}
}

func TestReadOthers(t *testing.T) {
	for _, file := range []string{`{"schema":"dist.events/2"}` + "\n", `{"schema":"cargo.timings/1"}` + "\n"} {
		if _, err := report.Read(strings.NewReader(file)); err == nil || !strings.Contains(err.Error(), "dist.events/1") {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := report.Read(strings.NewReader(`{"schema":"dist.events/1.3"}` + "\n")); err != nil {
		t.Error(err)
	}
}

// A line of any length takes no more than its bound.
func TestReadLong(t *testing.T) {
	file := io.MultiReader(strings.NewReader(header+`{"t":1,"kind":"log","text":"`), io.LimitReader(endless{}, 64<<20),
		strings.NewReader("\"}\n{\"t\":2,\"kind\":\"log\",\"text\":\""+strings.Repeat("ü", 1<<20)+"\"}\n"))
	run, err := report.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Events) != 1 || run.Malformed != 1 {
		t.Fatalf("%d events, %d lines that are none", len(run.Events), run.Malformed)
	}
	if text := run.Events[0].Text; len(text) > 20<<10 || !strings.HasSuffix(text, "ü… (2097152 bytes in all)") {
		t.Errorf("%d bytes, …%s", len(text), text[len(text)-40:])
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// What there is too much of is left out, and nothing that went wrong.
func TestReadMany(t *testing.T) {
	var b strings.Builder
	b.WriteString(header)
	const n = 400_000
	fmt.Fprintln(&b, `{"t":0,"kind":"exit","node":"node-1","outcome":"crashed"}`)
	for i := range n {
		fmt.Fprintf(&b, `{"t":%d,"kind":"log"}`+"\n", i)
	}
	run := read(t, b.String())
	if len(run.Events) != n || run.Omitted != 1 || run.Events[0].Kind != "exit" {
		t.Errorf("%d events, %d omitted, the first of kind %s", len(run.Events), run.Omitted, run.Events[0].Kind)
	}
}

func TestReadHeader(t *testing.T) {
	got, err := report.ReadHeader(strings.NewReader(header + "anything"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&report.Run{ID: "r", Package: "example.com/kv", PID: 7}, got); diff != "" {
		t.Error(diff)
	}
	if got, err := report.ReadHeader(strings.NewReader("")); err != nil || got.Package != "" {
		t.Errorf("of nothing: %+v, %v", got, err)
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := sample.Hostile(&b); err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) < 1000 {
			f.Add([]byte(header + line))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		run, err := report.Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		var page bytes.Buffer
		if err := report.Write(&page, run, "/dir"); err != nil {
			t.Fatal(err)
		}
		checkPage(t, page.String())
	})
}
