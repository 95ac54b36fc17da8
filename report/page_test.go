package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/distkit/dist/report"
	"github.com/distkit/dist/report/internal/sample"
)

func page(t *testing.T, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b, out bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	if err := report.Write(&out, read(t, b.String()), "/a directory"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	elements = regexp.MustCompile(`(?i)<(script|style|img|svg|iframe|object|link|base|meta|b)\b[^>]*>`)
	policy   = regexp.MustCompile(`Content-Security-Policy" content="default-src &#39;none&#39;; script-src &#39;(.*?)&#39;; style-src &#39;(.*?)&#39;`)
	styles   = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	scripts  = regexp.MustCompile(`(?s)<script type="module">(.*?)</script>`)
	datum    = regexp.MustCompile(`(?s)<script id="data" type="application/json">(.*?)</script>`)
)

// checkPage looks for whatever could have come into a page from its events.
func checkPage(t *testing.T, page string) {
	t.Helper()
	var kinds []string
	for _, m := range elements.FindAllStringSubmatch(page, -1) {
		kinds = append(kinds, strings.ToLower(m[1]))
	}
	if got := strings.Join(kinds, " "); got != "meta meta meta meta style script script" {
		t.Errorf("elements: %s", got)
	}
	if s := "\u2028"; strings.Contains(page, s) {
		t.Errorf("the page has %q", s)
	}
	data := datum.FindStringSubmatch(page)
	if len(data) != 2 || !json.Valid([]byte(data[1])) || strings.ContainsAny(data[1], "<>&") {
		t.Error("the data could be read as something else")
	}
}

func TestPage(t *testing.T) {
	page := page(t, func(b *bytes.Buffer) error { return sample.Run{Nodes: 3}.Write(b) })
	checkPage(t, page)
	m := policy.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("no policy")
	}
	for i, found := range [][]string{scripts.FindStringSubmatch(page), styles.FindStringSubmatch(page)} {
		sum := sha256.Sum256([]byte(found[1]))
		// html/template writes a + of an attribute as a reference.
		if got := strings.ReplaceAll(m[i+1], "&#43;", "+"); got != "sha256-"+base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("the policy allows something else: %s", got)
		}
	}
	for _, where := range []string{"http:", "https:", "url(", "@import", "eval(", "innerHTML", "insertAdjacent"} {
		if strings.Contains(page, where) {
			t.Errorf("the page has %q", where)
		}
	}
	_, noscript, _ := strings.Cut(page, "<noscript>")
	noscript, _, _ = strings.Cut(noscript, "</noscript>")
	for _, want := range []string{"TestLeaderSurvivesCrash: failed", "node-1 crashed: exit status 2", "slice bounds out of range", "need JavaScript"} {
		if !strings.Contains(noscript, want) {
			t.Errorf("without JavaScript there is no %q", want)
		}
	}
	if !strings.Contains(page, "<title>example.com/kv/raft: 1 failed · dist report</title>") {
		t.Error("no such title")
	}
}

func TestPageHostile(t *testing.T) {
	checkPage(t, page(t, func(b *bytes.Buffer) error { return sample.Hostile(b) }))
}

// The page of a run is the same each time.
func TestPageTwice(t *testing.T) {
	write := func(b *bytes.Buffer) error { return sample.Run{Nodes: 4}.Write(b) }
	if page(t, write) != page(t, write) {
		t.Error("two pages differ")
	}
}

func BenchmarkWrite(b *testing.B) {
	var file bytes.Buffer
	if err := (sample.Run{Nodes: 5, Events: 200_000}).Write(&file); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		run, err := report.Read(bytes.NewReader(file.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		var out bytes.Buffer
		if err := report.Write(&out, run, ""); err != nil {
			b.Fatal(err)
		}
	}
}
