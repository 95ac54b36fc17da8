package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/artifacts"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/events"
	"github.com/distkit/dist/runtime/manager"
)

// A recording is what a test binary notes of its distributed tests, and leaves
// for people to read. Its events are in memory until there is a file for them,
// which is made once nobody waits for a first cluster any more. A nil recording
// is that of a binary that is to keep nothing.
type recording struct {
	events *events.Recorder
	logs   *events.Logs
	store  *artifacts.Store
	report *report

	mu     sync.Mutex
	soon   *time.Timer // to open the file
	opened bool
	dir    string // "": there is none, and err says why
	err    error
	keep   bool // something has failed, or everything is kept
	facts  bool // written

	describing sync.WaitGroup
}

// newRecording begins one, if anything can be kept by a configuration.
func newRecording(pkg string, c *config.Config, store *artifacts.Store, report *report) *recording {
	if c.Artifacts.Keep == "never" || c.Cluster.Mode == "off" {
		return nil
	}
	var args []string
	for _, a := range os.Args[1:] {
		if strings.HasPrefix(a, "-test.") { // others may have secrets in them
			args = append(args, a)
		}
	}
	r := &recording{events: events.New(events.Header{Package: pkg, Args: args, Within: within(report)}), store: store, report: report}
	r.logs = events.NewLogs(r.events)
	return r
}

// within tells what runs this test binary: that of dist test is the same in all
// packages, even if it needs several go commands.
func within(r *report) string {
	if r != nil && r.name != "" {
		return filepath.Base(filepath.Dir(filepath.Dir(r.name)))
	}
	if flagValue(os.Args[1:], "test.paniconexit0") != "" {
		return "go-test-" + strconv.Itoa(os.Getppid())
	}
	return ""
}

// openDelay is what a test has of the processor to itself, once it has its
// cluster.
const openDelay = 10 * time.Millisecond

// openSoon has the file made in a moment.
func (r *recording) openSoon() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.soon == nil {
		r.soon = time.AfterFunc(openDelay, func() { r.open() })
	}
}

// open makes the run's directory and the file, the first time, and returns the
// directory. Nothing that goes wrong here is of any concern to a test.
func (r *recording) open() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened {
		return r.dir, r.err
	}
	r.opened = true
	if r.dir, r.err = r.store.Dir(); r.err != nil {
		r.events.Close()
		return "", r.err
	}
	r.events.Open(filepath.Join(r.dir, events.FileName)) // why it cannot be is told by note
	r.logs.Watch()
	r.report.keeps(r.dir)
	return r.dir, nil
}

// failed has the run kept.
func (r *recording) failed() {
	if r != nil {
		r.mu.Lock()
		r.keep = true
		r.mu.Unlock()
	}
}

// note is a line that says where artifacts are, or why they are not.
func (r *recording) note() string {
	dir, err := r.open()
	if err != nil {
		return "dist: no artifacts: " + err.Error()
	}
	text := "dist: artifacts: " + dir
	if err := r.events.Err(); err != nil {
		text += " (" + err.Error() + ")"
	}
	return text
}

// place is the directory of artifacts; "" if there is none.
func (r *recording) place() string {
	if r == nil {
		return ""
	}
	dir, err := r.open()
	if err != nil {
		return ""
	}
	return dir
}

// print notes a line of a test's log.
func (r *recording) print(test, text string) {
	if r != nil {
		r.events.Add(events.Event{Kind: events.Print, Test: test, Text: text})
	}
}

// refused notes why a test has no cluster.
func (r *recording) refused(test string, err error) {
	if r == nil {
		return
	}
	e := events.Event{Kind: events.Diagnose, Test: test, Text: err.Error()}
	if d, ok := err.(*diagnostics.Diagnosis); ok {
		e.Code = string(d.Code)
	}
	outcome := events.Failed
	if u, ok := err.(*manager.Unavailable); ok {
		e.Code = string(u.Diagnosis.Code)
		if u.Skip() {
			outcome = events.Skipped
		}
	}
	r.events.Add(e)
	r.events.Add(events.Event{Kind: events.Test, Test: test, Outcome: outcome})
	if outcome == events.Failed {
		r.failed()
		r.open()
	}
}

// stacksTime is what the nodes of a test that has failed have to say what their
// goroutines do.
const stacksTime = 500 * time.Millisecond

// failing keeps what is there only as long as the nodes of a test are, which
// has failed.
func (r *recording) failing(h *Held) {
	h.RecordPending()
	if _, err := r.open(); err != nil {
		return
	}
	h.mu.Lock()
	told := h.dumped
	h.dumped = true
	h.mu.Unlock()
	if told {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stacksTime)
	defer cancel()
	dumps := h.Dump(ctx, 0)
	for _, d := range dumps {
		if d.Stacks != "" {
			r.store.Write(h.Test()+".stacks.txt", stacksFile(h, dumps))
			return
		}
	}
}

// hung keeps what can be had of a test that -timeout is about to end with all of
// the test binary, and returns a line about it.
func (r *recording) hung(h *Held) string {
	h.mu.Lock()
	h.dumped = true
	h.mu.Unlock()
	h.RecordPending()
	r.failed()
	r.collect(h, false)
	r.logs.Sync()
	r.describeMachine(h.config)
	r.merge()
	return r.note()
}

// collect keeps the logs of a lease's nodes, and their directories if these are
// wanted. The nodes have ended; nothing of them has been removed.
func (r *recording) collect(h *Held, dirs bool) (problems []error) {
	if _, err := r.open(); err != nil {
		return nil
	}
	for _, n := range h.Nodes {
		if n.Log() != "" {
			if _, err := r.store.CopyLog(h.Test()+"."+n.Name()+".log", n.Log()); err != nil && !os.IsNotExist(err) {
				problems = append(problems, err)
			}
		}
		if dirs {
			if dir := nodeDir(n); dir != "" {
				if _, err := r.store.CopyDir(h.Test()+"."+n.Name()+".dir", dir); err != nil {
					problems = append(problems, err)
				}
			}
		}
	}
	return problems
}

// nodeDir is a node's directory, which is not made for it to be found empty.
func nodeDir(n manager.Node) string {
	if d, ok := n.(interface{ DirName() string }); ok {
		return d.DirName()
	}
	dir, _ := n.Dir()
	return dir
}

// ends notes how a test has ended, and tells it where its artifacts are.
func (r *recording) ends(h *Held) {
	if r == nil {
		return
	}
	h.t.Helper()
	e := events.Event{Kind: events.Test, At: r.events.Since(h.began), Dur: time.Since(h.began), Test: h.Test(), Cluster: h.ID, Outcome: events.Passed}
	failed := h.t.Failed() || panics(h.t)
	switch {
	case failed:
		e.Outcome = events.Failed
	case h.t.Skipped():
		e.Outcome = events.Skipped
	}
	r.events.Add(e)
	if !failed && h.keep != "always" {
		return
	}
	r.failed()
	r.describing.Go(func() { r.describeMachine(h.config) })
	if failed && !h.t.Failed() { // a panic: nobody comes by here any more
		r.describing.Wait()
		r.merge()
	}
	if _, isB := h.t.(*testing.B); failed || !isB || testing.Verbose() {
		attribute(h.t, attrArtifacts, r.place())
		h.t.Log(r.note())
	}
}

// A machineFacts is what facts.json says.
type machineFacts struct {
	Time       time.Time      `json:"time"`
	Go         string         `json:"go"`
	OS         string         `json:"os"`
	Arch       string         `json:"arch"`
	CPUs       int            `json:"cpus"`
	GOMAXPROCS int            `json:"gomaxprocs"`
	Race       bool           `json:"race"`
	Cover      string         `json:"cover"`
	Limits     []string       `json:"limits"`
	Unknown    []string       `json:"unknown,omitempty"`
	CI         string         `json:"ci"`
	File       string         `json:"file"` // distributed.toml
	Settings   []factsSetting `json:"settings"`
}

// A factsSetting is a key of the configuration as the first test that failed
// had it.
type factsSetting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// hidden is written in the place of what may be a secret.
const hidden = `"(not kept)"`

// describeMachine writes facts.json, once. Of the environment it has what sets a
// key of the configuration, and of programs' environments nothing.
func (r *recording) describeMachine(c *config.Config) {
	r.mu.Lock()
	done := r.facts
	r.facts = true
	r.mu.Unlock()
	if done {
		return
	}
	f := machineFacts{
		Time: time.Now(), Go: goruntime.Version(), OS: goruntime.GOOS, Arch: goruntime.GOARCH, CPUs: goruntime.NumCPU(), GOMAXPROCS: goruntime.GOMAXPROCS(0),
		Race: manager.RaceEnabled, Cover: testing.CoverMode(), CI: c.CI, File: c.File,
	}
	limits, missing := diagnostics.Survey(context.Background())
	for _, l := range limits {
		f.Limits = append(f.Limits, l.String())
	}
	f.Unknown = missing
	for _, s := range c.Settings() {
		if strings.HasPrefix(s.Key, "program.") && (strings.HasSuffix(s.Key, ".env") || strings.HasSuffix(s.Key, ".args")) {
			s.Value = hidden
		}
		f.Settings = append(f.Settings, factsSetting{s.Key, s.Value, s.Source})
	}
	if b, err := json.MarshalIndent(f, "", "  "); err == nil {
		r.store.Write("facts.json", append(b, '\n'))
	}
}

// merge writes the merged log of what is recorded so far.
func (r *recording) merge() {
	file := r.events.File()
	if file == "" {
		return
	}
	rec, err := events.Open(file)
	if err != nil {
		return
	}
	var b bytes.Buffer
	rec.Merge(&b)
	r.store.Replace("merged.log", b.Bytes())
}

// close ends the recording, and returns the directory if it is kept.
func (r *recording) close(code int) (dir string) {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	if r.soon != nil {
		r.soon.Stop()
	}
	keep := r.keep || code != 0 && r.soon != nil
	r.mu.Unlock()
	if keep {
		r.open()
	}
	outcome := events.OK
	if code != 0 {
		outcome = events.Failed
	}
	r.describing.Wait()
	r.logs.Close()
	r.events.Add(events.Event{Kind: events.Run, Outcome: outcome})
	r.mu.Lock()
	r.opened = true // a timer that is late finds it so
	dir = r.dir
	r.mu.Unlock()
	r.events.Close()
	switch {
	case dir == "":
	case keep:
		r.merge()
		return dir
	default:
		os.RemoveAll(dir)
	}
	return ""
}

// Schedule notes what determines a schedule of faults, and what it was.
func Schedule(test string, seed uint64, text string) {
	if r := theSession.recording; r != nil {
		r.events.Add(events.Event{Kind: events.Schedule, Test: test, Seed: seed, Text: text})
	}
}
