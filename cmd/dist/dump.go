package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/inspect"
)

const dumpHelp = `usage: dist dump [flags] [test | package | cluster | program] [node]

Prints the goroutines of nodes that run, of go test and dist test as well as of
dist up, and of the test processes that have them: what each waits for, and
where. Nothing is ended or changed by it. Without arguments it is all there is
of this user's on this machine; a node, node-2, may be named alone.

Nodes of the test binary are asked by way of their test process. A program is
asked where it serves net/http/pprof: at each of its ports. Of one that does not,
nothing can be had (SIGQUIT, which has a Go program print its goroutines, ends
it), and that is said.

  -profile NAME   take a profile of each instead: cpu, trace, heap, allocs, block,
                  mutex, threadcreate, goroutine, or one of the test's own
  -for D          record the profile for so long, as 5s; cpu and trace: 1s if it
                  is not given, the others: what there is now
  -o DIR          write a file for each into DIR, which is made; profiles go into
                  the current directory without it
  -json           print one JSON object

Examples:

  dist dump
  dist dump TestLeader node-2
  dist dump -o stacks ./raft
  dist dump -profile cpu -for 5s TestLeader && go tool pprof cpu.TestLeader.node-1.pprof
  dist dump -json | jq -r '.nodes[] | "\(.test) \(.node) \(.error)"'

Exit status: 0; 1 if nothing of the kind runs, or a node's could not be had, 2
for usage.
`

// A dumped is what could be had of a process. Its JSON form is documented in
// docs/dist.md.
type dumped struct {
	Package string   `json:"package,omitempty"` // of the test binary
	Test    string   `json:"test,omitempty"`    // that has the node
	Cluster string   `json:"cluster,omitempty"`
	Program string   `json:"program,omitempty"` // that it runs; "": the test binary
	Node    string   `json:"node,omitempty"`    // "": the test process itself
	PID     int      `json:"pid,omitempty"`
	Doing   []string `json:"doing,omitempty"`  // where the node is, for people
	Stacks  string   `json:"stacks,omitempty"` // of all goroutines
	File    string   `json:"file,omitempty"`   // that was written
	Error   string   `json:"error,omitempty"`  // why nothing could be had

	record *inspect.Record   // whom to ask; nil: its owner is no test binary
	addr   map[string]string // host:port by the name of a port
	data   []byte            // of a profile
}

// A dumpWish is what is wanted of each.
type dumpWish struct {
	profile string // "": the goroutines
	over    time.Duration
	dir     string
}

func setupDump(flags *flag.FlagSet) action {
	var w dumpWish
	flags.StringVar(&w.profile, "profile", "", "")
	flags.DurationVar(&w.over, "for", 0, "")
	flags.StringVar(&w.dir, "o", "", "")
	asJSON := flags.Bool("json", false, "")
	return func(ctx context.Context, args []string, s streams) error {
		switch {
		case len(args) > 2:
			return noArguments("dump", args[2:])
		case w.over < 0 || w.over > 10*time.Minute:
			return fmt.Errorf("-for=%v: a profile takes no longer than 10m (dist help dump)", w.over)
		case w.over > 0 && w.profile == "":
			return errors.New("-for is for a -profile (dist help dump)")
		case !profileName.MatchString(w.profile):
			return fmt.Errorf("-profile=%q: the name of a profile is wanted, as cpu (dist help dump)", w.profile)
		}
		if w.over == 0 && (w.profile == "cpu" || w.profile == "trace") {
			w.over = time.Second
		}
		all, notes, err := running(ctx)
		if err != nil {
			return err
		}
		for _, n := range notes {
			fmt.Fprintf(s.err, "dist dump: %s\n", n)
		}
		chosen, err := chooseDumped(ctx, all, args)
		if err != nil {
			fmt.Fprintf(s.err, "dist dump: %v\n", err)
			return failed(exitFailed)
		}
		var wg sync.WaitGroup
		for _, d := range chosen {
			wg.Go(func() { d.take(ctx, w) })
		}
		wg.Wait()
		if ctx.Err() != nil {
			return failed(exitFailed)
		}
		written := make(map[string]bool)
		for _, d := range chosen {
			if err := d.write(w, written); err != nil {
				return err
			}
		}
		if *asJSON {
			if err := printJSON(s.out, map[string][]*dumped{"nodes": chosen}); err != nil {
				return err
			}
		} else if err := printDumped(s.out, chosen); err != nil {
			return fmt.Errorf("print what nodes do: %w", err)
		}
		if slices.ContainsFunc(chosen, func(d *dumped) bool { return d.Error != "" }) {
			return failed(exitFailed)
		}
		return nil
	}
}

// profileName is also a part of a file's name and of a URL.
var profileName = regexp.MustCompile(`^[\w.-]*$`)

// running finds all nodes of this user's that run, and the processes of their tests.
func running(ctx context.Context) (all []*dumped, notes []string, err error) {
	records, notes, err := inspect.Records()
	if err != nil {
		return nil, nil, fmt.Errorf("look for test binaries: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	answers := make([]*inspect.Answer, len(records))
	errs := make([]error, len(records))
	var wg sync.WaitGroup
	for i, r := range records {
		wg.Go(func() { answers[i], errs[i] = inspect.Ask(ctx, r, inspect.Request{Do: inspect.List}) })
	}
	wg.Wait()
	slices.SortFunc(records, func(a, b inspect.Record) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.PID, b.PID)) })
	leased := make(map[string]bool) // clusters
	for i := range records {
		r := &records[i]
		if errs[i] != nil {
			notes = append(notes, fmt.Sprintf("%s: %v", r.Package, errs[i]))
			continue
		}
		all = append(all, &dumped{Package: r.Package, PID: r.PID, record: r})
		for _, t := range answers[i].Tests {
			leased[t.Cluster] = true
			for _, n := range t.Nodes {
				all = append(all, &dumped{Package: r.Package, Test: t.Name, Cluster: t.Cluster, Program: t.Program, Node: n.Name, PID: n.PID, record: r, addr: n.Addr})
			}
		}
	}
	// Clusters that nobody has at the moment.
	v, err := lookAround(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer v.close()
	notes = append(notes, v.notes...)
	for _, c := range v.clusters {
		if leased[c.ID] {
			continue
		}
		for _, n := range c.Nodes {
			d := &dumped{Cluster: c.ID, Program: cmp.Or(n.As, c.Program), Node: n.Name, PID: n.PID, addr: n.Addr}
			if !n.Up {
				d.Error = "it is down: " + cmp.Or(n.Reason, "it starts")
			}
			all = append(all, d)
		}
	}
	return all, notes, nil
}

var nodeName = regexp.MustCompile(`^node-[1-9][0-9]*$`)

// chooseDumped finds what the arguments mean. The process of a test goes with it,
// unless it is about one node.
func chooseDumped(ctx context.Context, all []*dumped, args []string) ([]*dumped, error) {
	what, node := "", ""
	switch {
	case len(args) == 2:
		what, node = args[0], args[1]
	case len(args) == 1 && nodeName.MatchString(args[0]):
		node = args[0]
	case len(args) == 1:
		what = args[0]
	}
	if len(all) == 0 {
		return nil, errors.New("nothing that could be asked runs: no test of this user's has had a cluster for a moment, and no cluster is up")
	}
	fits := func(d *dumped) bool { return true }
	if what != "" {
		wanted, err := packagesOf(ctx, what)
		if err != nil {
			return nil, err
		}
		tests := make(map[int]bool) // test processes of what is wanted
		fits = func(d *dumped) bool {
			if d.Node == "" {
				return tests[d.PID]
			}
			return d.Test == what || strings.HasPrefix(d.Test, what+"/") || d.Cluster == what || d.Program == what || d.Package != "" && wanted(d.Package)
		}
		for _, d := range all {
			if d.record != nil && (d.Node != "" && fits(d) || d.Node == "" && wanted(d.Package)) {
				tests[d.record.PID] = true
			}
		}
	}
	var chosen []*dumped
	for _, d := range all {
		if fits(d) && (node == "" || d.Node == node) {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) > 0 {
		return chosen, nil
	}
	there := dumpNames(all)
	if node != "" && what != "" {
		return nil, fmt.Errorf("no node %q of %s runs; there are %s", node, what, there)
	}
	return nil, fmt.Errorf("no %s runs; there are %s", cmp.Or(what, node), there)
}

// dumpNames are what can be named, for people.
func dumpNames(all []*dumped) string {
	var names []string
	for _, d := range all {
		switch {
		case d.Test != "":
			names = append(names, d.Test+" "+d.Node)
		case d.Node != "":
			names = append(names, d.Cluster+" "+d.Node)
		default:
			names = append(names, d.Package)
		}
	}
	const most = 12
	more := ""
	if len(names) > most {
		more, names = fmt.Sprintf(" and %d more", len(names)-most), names[:most]
	}
	return strings.Join(names, ", ") + more
}

// dumpWords are what completion offers.
func dumpWords() []string {
	all, _, err := running(context.Background())
	if err != nil {
		return nothing()
	}
	words := nothing()
	for _, d := range all {
		words = append(words, d.Test, d.Package, d.Cluster, d.Program, d.Node)
	}
	slices.Sort(words)
	return slices.DeleteFunc(slices.Compact(words), func(w string) bool { return w == "" })
}

// take asks for what is wanted.
func (d *dumped) take(ctx context.Context, w dumpWish) {
	if d.Error != "" {
		return
	}
	if d.Program != "" {
		b, err := askPprof(ctx, d.addr, w)
		switch {
		case err == nil && w.profile == "":
			d.Stacks = string(b)
		case err == nil:
			d.data = b
		default:
			d.Error = err.Error()
		}
		return
	}
	q := inspect.Request{Do: inspect.Stacks, Test: d.Test, Node: d.Node}
	if w.profile != "" {
		q.Do, q.Profile, q.For = inspect.Profile, w.profile, w.over
	}
	ctx, cancel := context.WithTimeout(ctx, w.over+2*surveyTime)
	defer cancel()
	a, err := inspect.Ask(ctx, *d.record, q)
	switch {
	case err != nil:
		d.Error = err.Error()
	case w.profile != "":
		d.data = a.Data
	case len(a.Data) == 0:
		d.Error = strings.Join(a.Lines, "\n")
	default:
		d.Stacks = string(a.Data)
		for _, line := range a.Lines[min(1, len(a.Lines)):] { // the first names the node
			d.Doing = append(d.Doing, strings.TrimSpace(line))
		}
	}
}

// noPprof is why nothing is to be had of a program.
const noPprof = "it serves net/http/pprof on none of its ports%s, and SIGQUIT would end it: have it serve that, or look at what it logs (dist logs)"

// askPprof asks a program at each of its ports, of which one may serve
// net/http/pprof.
func askPprof(ctx context.Context, addr map[string]string, w dumpWish) ([]byte, error) {
	query := url.Values{}
	path := cmp.Or(w.profile, "goroutine")
	switch {
	case w.profile == "":
		query.Set("debug", "2")
	case w.profile == "cpu":
		path = "profile"
	}
	if w.over > 0 {
		query.Set("seconds", strconv.Itoa(int(max(w.over.Round(time.Second), time.Second)/time.Second)))
	}
	type answer struct {
		port string
		b    []byte
		err  error
	}
	ports := slices.Sorted(maps.Keys(addr))
	answers := make([]answer, len(ports))
	var wg sync.WaitGroup
	for i, port := range ports {
		wg.Go(func() {
			u := url.URL{Scheme: "http", Host: addr[port], Path: "/debug/pprof/" + path, RawQuery: query.Encode()}
			b, err := getPprof(ctx, u.String(), w.over)
			answers[i] = answer{port, b, err}
		})
	}
	wg.Wait()
	var said, others []string
	for _, a := range answers {
		if a.err == nil && (w.profile != "" || bytes.HasPrefix(a.b, []byte("goroutine "))) {
			return a.b, nil
		}
		if refused := (*pprofError)(nil); errors.As(a.err, &refused) {
			said = append(said, fmt.Sprintf("%s: %v", a.port, a.err))
		} else if a.err != nil {
			others = append(others, fmt.Sprintf("%s: %v", a.port, rootCause(a.err)))
		}
	}
	if len(said) > 0 {
		return nil, errors.New(strings.Join(said, "; "))
	}
	tried := ""
	if len(others) > 0 {
		tried = " (" + strings.Join(others, "; ") + ")"
	}
	return nil, fmt.Errorf(noPprof, tried)
}

// rootCause is what an error is about, without the URL and the addresses.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// A pprofError is what net/http/pprof says, where it is there.
type pprofError struct{ text string }

func (e *pprofError) Error() string { return e.text }

// getPprof asks one port.
func getPprof(ctx context.Context, u string, over time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, over+surveyTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	// The environment's proxies have nothing to do with loopback, and a program
	// is not to send this elsewhere.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	const most = 128 << 20
	b, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		if resp.Header.Get("X-Go-Pprof") != "" { // it is there, and knows better
			return nil, &pprofError{strings.TrimSpace(oneLine(string(b)))}
		}
		return nil, errors.New(resp.Status)
	}
	if disposition := resp.Header.Get("Content-Disposition"); disposition == "" && !bytes.HasPrefix(b, []byte("goroutine ")) {
		return nil, errors.New("it is no answer of net/http/pprof")
	}
	return b, nil
}

// write puts into a file what belongs there. Two runs of a test have files of
// their own: written are those that there are.
func (d *dumped) write(w dumpWish, written map[string]bool) error {
	if d.Error != "" || w.profile == "" && w.dir == "" {
		return nil
	}
	name, data := w.profile, d.data
	end := ".pprof"
	switch w.profile {
	case "":
		name, data, end = "goroutines", []byte(d.Stacks), ".txt"
		if len(d.Doing) > 0 {
			data = append([]byte(strings.Join(d.Doing, "\n")+"\n\n"), data...)
		}
	case "trace":
		end = ".out"
	}
	for _, part := range []string{cmp.Or(d.Test, d.Cluster, d.Package), cmp.Or(d.Node, "test-process")} {
		name += "." + strings.Map(func(r rune) rune {
			if strings.ContainsRune(`/\:*?"<>| `, r) || r < ' ' {
				return '_'
			}
			return r
		}, part)
	}
	if err := os.MkdirAll(cmp.Or(w.dir, "."), 0o700); err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	if written[name] {
		name += "." + strconv.Itoa(d.PID)
	}
	written[name] = true
	d.File, d.Stacks = filepath.Join(w.dir, name+end), ""
	if err := os.WriteFile(d.File, data, 0o600); err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	return nil
}

// heading names the process.
func (d *dumped) heading() string {
	text := d.Node
	if d.Node == "" {
		text = "test process of " + d.Package
	}
	if d.PID > 0 {
		text += fmt.Sprintf(" (pid %d)", d.PID)
	}
	if d.Test != "" {
		text += fmt.Sprintf(" of %s, %s", d.Test, d.Package)
	}
	if d.Cluster != "" {
		text += ", cluster " + d.Cluster
	}
	if d.Program != "" {
		text += ", runs " + d.Program
	}
	return text
}

func printDumped(w io.Writer, all []*dumped) error {
	var b strings.Builder
	for i, d := range all {
		if d.File != "" {
			fmt.Fprintln(&b, d.File)
			continue
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "===== %s\n", d.heading())
		for _, line := range d.Doing {
			fmt.Fprintf(&b, "      %s\n", line)
		}
		switch {
		case d.Error != "":
			fmt.Fprintf(&b, "      not to be had: %s\n", strings.ReplaceAll(d.Error, "\n", "\n      "))
		default:
			fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(d.Stacks, "\n"))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
