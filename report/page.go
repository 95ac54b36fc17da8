package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

var (
	//go:embed assets/page.html
	pageHTML string
	//go:embed assets/page.css
	pageCSS string
	//go:embed assets/model.js
	modelJS string
	//go:embed assets/timeline.js
	timelineJS string
	//go:embed assets/list.js
	listJS string
	//go:embed assets/panel.js
	panelJS string
	//go:embed assets/main.js
	mainJS string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{"since": since}).Parse(pageHTML))

// pageData is what there is of a run for the page's script: events as columns
// and texts as numbers in a table, for runs of hundreds of thousands.
type pageData struct {
	Run     *Run             `json:"run"`
	Strings []string         `json:"strings"`
	Lanes   []Lane           `json:"lanes"`
	Tests   []pageTest       `json:"tests"`
	Columns map[string][]int `json:"columns"` // numbers of strings, but for t, dur, lane, peer, test
	More    map[int]pageMore `json:"more"`    // by event
}

type pageTest struct {
	Test
	Failures []pageFailure `json:"failures"`
}

type pageFailure struct {
	Event       int           `json:"event"`
	At          time.Duration `json:"t"`
	Code        string        `json:"code,omitempty"`
	Text        string        `json:"text,omitempty"`
	First       bool          `json:"first,omitempty"`
	Consequence bool          `json:"consequence,omitempty"`
	Led         []int         `json:"led"`
}

// pageMore are fields that few events have.
type pageMore struct {
	PID    int       `json:"pid,omitempty"`
	Size   int       `json:"size,omitempty"`
	Seed   uint64    `json:"seed,omitempty,string"` // more than a browser can count
	Bytes  int       `json:"bytes,omitempty"`
	File   string    `json:"file,omitempty"`
	Nodes  []int     `json:"nodes,omitempty"` // lanes
	Reused bool      `json:"reused,omitempty"`
	Pairs  *[][2]int `json:"pairs,omitempty"` // lanes
}

// Write writes the page of a run. dir is where the run was kept, for the reader
// to find the rest of it; "" if that is not known.
func Write(w io.Writer, run *Run, dir string) error {
	a := Analyze(run)
	data, err := json.Marshal(columns(run, a)) // escapes <, >, & and what ends lines in scripts
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	script := strings.Join([]string{modelJS, timelineJS, listJS, panelJS, mainJS}, "\n")
	out := bufio.NewWriter(w)
	err = page.Execute(out, map[string]any{
		"Title":  title(run, a),
		"Run":    run,
		"Dir":    printable(dir),
		"Tests":  a.Tests,
		"CSS":    template.CSS(pageCSS),
		"Script": template.JS(script),
		"Data":   template.JS(data),
		// Nothing but these two may run or be fetched, whatever the events say.
		"Policy": fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; base-uri 'none'; form-action 'none'",
			hash("\n"+script), hash("\n"+pageCSS)),
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func title(r *Run, a *Analysis) string {
	failed := 0
	for i := range a.Tests {
		if a.Tests[i].Outcome == "failed" {
			failed++
		}
	}
	name := r.Package
	if name == "" {
		name = "a run"
	}
	if failed == 0 {
		return name
	}
	return fmt.Sprintf("%s: %d failed", name, failed)
}

// since is a time of the run as the page shows it.
func since(d time.Duration) string { return d.Round(time.Microsecond).String() }

func columns(r *Run, a *Analysis) *pageData {
	d := &pageData{Run: r, Lanes: a.Lanes, Strings: []string{""}, More: make(map[int]pageMore), Columns: make(map[string][]int)}
	numbers := map[string]int{"": 0}
	number := func(s string) int {
		n, ok := numbers[s]
		if !ok {
			n = len(d.Strings)
			numbers[s] = n
			d.Strings = append(d.Strings, s)
		}
		return n
	}
	lanes := make(map[Lane]int, len(a.Lanes))
	for i, l := range a.Lanes {
		lanes[l] = i
	}
	n := len(r.Events)
	cols := []string{"t", "dur", "lane", "peer", "test", "kind", "name", "cluster", "what", "text", "outcome", "error", "reason", "code"}
	for _, c := range cols {
		d.Columns[c] = make([]int, n)
	}
	c := d.Columns
	for i := range r.Events {
		e := &r.Events[i]
		c["t"][i], c["dur"][i] = int(e.At), int(e.Dur)
		c["lane"][i], c["test"][i] = a.lane[i], a.test[i]
		c["peer"][i] = -1
		if e.Peer != "" {
			c["peer"][i] = lanes[Lane{e.Cluster, e.Peer}]
		}
		c["kind"][i], c["name"][i], c["cluster"][i] = number(string(e.Kind)), number(e.Test), number(e.Cluster)
		c["what"][i], c["text"][i], c["outcome"][i] = number(e.What), number(e.Text), number(e.Outcome)
		c["error"][i], c["reason"][i], c["code"][i] = number(e.Error), number(e.Reason), number(e.Code)
		m := pageMore{PID: e.PID, Size: e.Size, Seed: e.Seed, Bytes: e.Bytes, File: e.File, Reused: e.Reused}
		for _, name := range e.Nodes {
			m.Nodes = append(m.Nodes, lanes[Lane{e.Cluster, name}])
		}
		if e.Pairs != nil {
			pairs := make([][2]int, 0, len(e.Pairs))
			for _, p := range e.Pairs {
				from, ok := lanes[Lane{e.Cluster, p[0]}]
				to, ok2 := lanes[Lane{e.Cluster, p[1]}]
				if ok && ok2 {
					pairs = append(pairs, [2]int{from, to})
				}
			}
			m.Pairs = &pairs
		}
		if m.PID != 0 || m.Size != 0 || m.Seed != 0 || m.Bytes != 0 || m.File != "" || m.Nodes != nil || m.Reused || m.Pairs != nil {
			d.More[i] = m
		}
	}
	d.Tests = []pageTest{}
	for _, t := range a.Tests {
		p := pageTest{Test: t, Failures: []pageFailure{}}
		for _, f := range t.Failures {
			if f.Led == nil {
				f.Led = []int{}
			}
			p.Failures = append(p.Failures, pageFailure{f.Event, f.At, f.Code, f.Text, f.First, f.Consequence, f.Led})
		}
		d.Tests = append(d.Tests, p)
	}
	return d
}
