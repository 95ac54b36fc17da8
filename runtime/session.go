package runtime

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/requirement"
	"github.com/distkit/dist/runtime/artifacts"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/manager"
	"github.com/distkit/dist/runtime/manager/keeper"
	"github.com/distkit/dist/runtime/program"
)

// A session is the test side of one test binary.
type session struct {
	mu       sync.Mutex
	plans    []requirement.Plan
	began    bool   // Main has been called
	dir      string // the package's
	manager  *manager.Manager
	forecast *forecast
	held     map[string]*Held // by test name
	report   *report          // nil unless somebody wants one
	start    time.Time        // of this process, nearly

	cover     coverage
	artifacts artifacts.Store
	recording *recording
	told      told
	inspected inspected

	directives map[string]map[string]directive // see outdated

	config    *config.Config // as last read
	configErr error
	configFor uint64 // fingerprint of the environment it was read with; 0: not read inside m.Run yet
}

var theSession = &session{held: make(map[string]*Held)}

// Load gives the runtime the plan of a package. Generated code calls it, in an
// init: once for the package, and once for its external tests.
func Load(p requirement.Plan) {
	theSession.mu.Lock()
	defer theSession.mu.Unlock()
	theSession.plans = append(theSession.plans, p)
}

// Main is what dist.Main does.
func Main(m interface{ Run() int }) int {
	if c := process.Inherited(); c != nil {
		leadNodesLife(c) // does not return
	}
	s := theSession
	s.begin()
	code := m.Run()
	return s.end(code)
}

// begin makes the manager, and starts the first cluster in the background if a
// test is going to need one.
func (s *session) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began {
		return
	}
	s.began, s.start = true, time.Now()
	s.dir, _ = os.Getwd()
	s.report = openReport()
	owner := runsOwner()
	s.cover = readCoverage()
	s.manager = manager.New(process.New(), s.cover.nodeEnv)
	s.manager.Programs(s.cover.programEnv)
	s.manager.LeaseFrom(owner)
	var tests []requirement.Test
	for _, p := range s.plans {
		tests = append(tests, p.Tests...)
	}
	selection := readSelection()
	s.forecast = newForecast(selection, tests)
	if len(s.forecast.tests) == 0 {
		return
	}
	s.manager.Prepare()
	// This is only to warm up: Require reads the configuration again, where
	// Go's test cache takes note of it, and reports what is wrong with it.
	if c, err := config.Load(s.dir, config.Expect(s.expected())); err == nil {
		if s.recording = newRecording(s.packagePath(), c, &s.artifacts, s.report); s.recording != nil {
			s.manager.Record(s.recording.events, s.recording.logs)
			s.place(c.Artifacts.Dir)
		}
		if os.Getenv(EnvDebug) != "" {
			c = patient(c)
		}
		s.warm(c, selection.short, s.manager.Warm)
	}
}

// runsOwner is the registry file of the owner of this run's clusters; "" if
// there is none. Like a report it is of no concern to Go's test cache, nor to a
// nested go test.
func runsOwner() string {
	file := os.Getenv(keeper.EnvOwner)
	os.Unsetenv(keeper.EnvOwner)
	return file
}

// warm has spares started for the tests that are still to come.
func (s *session) warm(c *config.Config, short bool, warm func(n int, c *config.Config)) {
	n := s.forecast.next(func(t requirement.Test) int {
		return manager.Spares(t, c, short)
	})
	if n > 0 {
		warm(n, c)
	}
}

// AwaitSpares returns when the nodes that are being started ahead of time are
// ready, for measurements.
func AwaitSpares(ctx context.Context) error {
	s := theSession
	s.mu.Lock()
	m := s.manager
	s.mu.Unlock()
	if m == nil {
		return nil
	}
	return m.AwaitSpares(ctx)
}

// end stops what still runs. What reused nodes say at their end is heard here,
// since no test is left to hear it.
func (s *session) end(code int) int {
	s.mu.Lock()
	m, c := s.manager, s.config
	s.mu.Unlock()
	s.inspected.end()
	if c == nil {
		c = config.Default()
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.StopTimeout())
	defer cancel()
	for _, p := range m.Close(ctx) {
		fmt.Fprintf(os.Stderr, "%v\n", p.Diagnosis)
		if p.Fails && code == 0 {
			code = 1
		}
	}
	s.report.close(m, s.recording.close(code))
	return code
}

// expected is the distributed.toml that was there when the bootstrap was
// generated.
func (s *session) expected() string {
	for _, p := range s.plans {
		if p.Config != "" {
			return p.Config
		}
	}
	return ""
}

// packagePath is the import path of the package under test.
func (s *session) packagePath() string {
	for _, p := range s.plans {
		return strings.TrimSuffix(p.Package, "_test")
	}
	return ""
}

// planned finds a test's entry in the plans.
func (s *session) planned(test string) (requirement.Test, bool) {
	for _, p := range s.plans {
		for _, t := range p.Tests {
			if t.Name == test {
				return t, true
			}
		}
	}
	return requirement.Test{}, false
}

func (s *session) ownMain() bool {
	return slices.ContainsFunc(s.plans, func(p requirement.Plan) bool { return p.OwnMain })
}

var environSeed = maphash.MakeSeed()

// configuration reads the configuration, again if the environment has changed
// (t.Setenv) since it was last read.
func (s *session) configuration() (*config.Config, error) {
	print := maphash.String(environSeed, strings.Join(os.Environ(), "\x00")) | 1
	if s.configFor != print {
		s.config, s.configErr = config.Load(s.dir, config.Expect(s.expected()))
		s.configFor = print
	}
	return s.config, s.configErr
}

// Held is a test's lease and what Require said for it.
type Held struct {
	*manager.Lease
	t        testing.TB
	options  requirement.Requirement
	at       string // file:line of the Require
	parallel bool   // the test was parallel when it asked

	began  time.Time      // its Require
	config *config.Config // as the test had it
	keep   string         // its artifacts.keep

	mu     sync.Mutex
	dumped bool        // the stacks of its nodes have been kept
	over   bool        // the test has ended: t must not be used any more
	alarm  *time.Timer // goes off shortly before the deadline; nil if there is none
}

// NoPort fails the test that has asked a method for a port its nodes do not have.
func (h *Held) NoPort(method, port string) {
	h.t.Helper()
	why := "the test did not ask for this port: " + askForPort
	switch name := h.options.Program; {
	case name == "":
	case h.Decision.Row == "attached":
		why = fmt.Sprintf("[attach.%s] of distributed.toml has no address for this port", name)
	default:
		why = fmt.Sprintf("program %s has no such port: add it to ports of [program.%s] in distributed.toml, and have the program listen there", name, name)
	}
	h.Errorf("dist: %s(%q): %s", method, port, why)
}

// Errorf fails the test, if it is still there to fail. Unlike testing.T's it
// may be called from a goroutine that outlives the test.
func (h *Held) Errorf(format string, args ...any) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		theSession.recording.print(h.Test(), fmt.Sprintf(format, args...))
		h.t.Errorf(format, args...)
	}
}

// Fail is Errorf with an error, of which a diagnosis says itself who tells it.
func (h *Held) Fail(err error) {
	h.t.Helper()
	h.Errorf("dist: %s", strings.TrimPrefix(err.Error(), "dist: "))
}

// Logf writes to the test's log, with the same care.
func (h *Held) Logf(format string, args ...any) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		theSession.recording.print(h.Test(), fmt.Sprintf(format, args...))
		h.t.Logf(format, args...)
	}
}

// Require leases a cluster to t, or returns the lease that t, or the test it is
// a part of, has already. It ends the test with a diagnosis if there is none to
// be had: as failed, or as skipped where the test or the configuration says so.
func Require(t testing.TB, options requirement.Requirement) *Held {
	t.Helper()
	if process.Inherited() != nil {
		// A TestMain that only sometimes calls dist.Main.
		fmt.Fprintln(os.Stderr, "dist: this process was started as a node, but its TestMain has run the tests: dist.Main must be its first statement; it stops here, before it starts nodes of its own")
		os.Exit(97)
	}
	s := theSession
	h, err := s.require(t, options, caller())
	if err != nil {
		s.recording.refused(t.Name(), err)
		refusal(t, err)
		var u *manager.Unavailable
		if errors.As(err, &u) && u.Skip() {
			s.report.skipped(t.Name(), u)
			t.Skip(s.told.text(t.Name(), true, err))
		}
		s.report.failed(t.Name(), err)
		attribute(t, attrArtifacts, s.recording.place())
		text := s.told.text(t.Name(), false, err)
		if s.recording != nil && text == err.Error() { // those that refer to it need not say it again
			text += "\n" + s.recording.note()
		}
		t.Fatal(text)
	}
	return h
}

// misuse is the diagnosis of a wrong call, as an error.
func misuse(t testing.TB, code diagnostics.Code, f diagnostics.Failure) error {
	f.Phase, f.Code = diagnostics.PhaseBootstrap, code
	if f.Op == "" {
		f.Op = "have a cluster for " + t.Name()
	}
	if f.Name == "" {
		f.Name = t.Name()
	}
	return diagnostics.Diagnose(f)
}

func (s *session) require(t testing.TB, options requirement.Requirement, at string) (*Held, error) {
	t.Helper()
	top, _, isSub := strings.Cut(t.Name(), "/")
	s.mu.Lock()
	if !s.began {
		defer s.mu.Unlock()
		if !s.ownMain() { // or the file with the generated TestMain would have begun
			return nil, misuse(t, diagnostics.BootstrapMissing, diagnostics.Failure{Pos: at})
		}
		return nil, misuse(t, diagnostics.BootstrapTestMain, diagnostics.Failure{Pos: at, OwnTestMain: true})
	}
	if _, isT := t.(*testing.T); isT && isSub && strings.HasPrefix(top, "Fuzz") {
		s.mu.Unlock()
		return nil, misuse(t, diagnostics.UseFuzz, diagnostics.Failure{Pos: at})
	}
	if h := s.holds(t.Name()); h != nil {
		s.mu.Unlock()
		if err := h.admits(options); err != nil {
			return nil, misuse(t, diagnostics.UseConflict, diagnostics.Failure{Pos: at, Err: err, Details: []string{
				fmt.Sprintf("%s: %s has %s", h.at, h.Test(), describe(h.options, h.Size())),
				fmt.Sprintf("%s: %s asks for %s", at, t.Name(), describe(options, 0)),
			}})
		}
		return h, nil
	}
	plan, ok := s.planned(top)
	if len(s.plans) == 0 {
		s.mu.Unlock()
		return nil, misuse(t, diagnostics.BootstrapMissing, diagnostics.Failure{Pos: at, OwnTestMain: true})
	}
	if !ok {
		s.mu.Unlock()
		return nil, misuse(t, diagnostics.BootstrapStale, diagnostics.Failure{Name: top, Pos: at})
	}
	if err := s.outdated(plan, at); err != nil {
		s.mu.Unlock()
		return nil, misuse(t, diagnostics.BootstrapStale, diagnostics.Failure{Name: top, Pos: at, Err: err})
	}
	c, err := s.configuration()
	if err != nil {
		s.mu.Unlock()
		f := diagnostics.Failure{Phase: diagnostics.PhaseConfig, Op: "have a cluster for " + t.Name(), Name: t.Name(), Err: err}
		if errors.As(err, new(syscall.Errno)) { // not what it says, but that it cannot be read
			diagnostics.Gather(t.Context(), &f)
		}
		return nil, diagnostics.Diagnose(f)
	}
	debugged, err := readDebug()
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if len(debugged) > 0 {
		c = patient(c)
	}
	m := s.manager
	ownMain := s.ownMain()
	s.mu.Unlock()

	need, err := effective(plan.Requirement, options)
	if err != nil {
		return nil, misuse(t, diagnostics.UseConflict, diagnostics.Failure{Pos: at, Err: err, Details: []string{
			"the plan of this package: " + describe(plan.Requirement, 0),
			fmt.Sprintf("%s: asks for %s", at, describe(options, 0)),
		}})
	}
	if len(debugged) > 0 {
		need.Timeout = 0
	}
	ctx, cancel := t.Context(), func() {}
	if d, ok := deadline(t); ok {
		ctx, cancel = context.WithDeadline(ctx, d.Add(-deadlineMargin))
	}
	defer cancel()
	began := time.Now()
	s.inspected.soon(s)
	s.report.wants(t.Name())
	lease, err := m.Acquire(ctx, manager.Request{
		Test: t.Name(), Package: s.packagePath(), Requirement: need, Faults: plan.Faults, Config: c, Short: testing.Short(), OwnTestMain: ownMain,
		Flags: program.TestFlags(testing.CoverMode()), CoverDir: s.cover.dirOf(need.Program), Profiled: isProfiling(),
		Debug: manager.Debug{Nodes: debugged, Tell: tell},
		Announce: func(reason string) {
			t.Helper()
			s.report.waits(t.Name(), reason)
			s.recording.print(t.Name(), "dist: waiting: "+reason)
			announce(t, reason)
		},
	})
	s.mu.Lock()
	s.forecast.asked(t.Name())
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	h := &Held{Lease: lease, t: t, options: need, at: at, parallel: isParallel(t), began: began, config: c, keep: c.Artifacts.Keep}
	s.held[t.Name()] = h
	s.warm(c, testing.Short(), s.manager.WarmSoon)
	s.place(c.Artifacts.Dir)
	s.mu.Unlock()
	if h.keep != "never" {
		s.recording.openSoon()
	}
	if len(debugged) == 0 {
		s.watch(h)
	}
	t.Cleanup(func() {
		t.Helper()
		s.release(h)
	})
	s.report.leased(h)
	s.attributes(t, lease)
	if _, isB := t.(*testing.B); !isB || testing.Verbose() { // what a benchmark logs is always printed
		text := fmt.Sprintf("dist: cluster %s: %s in %v (%s)", lease.ID, describeNodes(lease), lease.Wait.Round(10*time.Microsecond), lease.Decision.Reason)
		t.Log(text)
		s.recording.print(t.Name(), text)
		for _, try := range lease.Tried {
			t.Logf("dist: a start had failed: %v", try)
		}
	}
	if len(debugged) > 0 {
		if err := h.debug(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// announce tells what a test waits for, now: without -v a test's log is shown
// only when it has ended, and failed.
func announce(t testing.TB, reason string) {
	t.Helper()
	t.Logf("dist: waiting: %s", reason)
	if !testing.Verbose() {
		fmt.Fprintf(os.Stderr, "dist: %s waits: %s\n", t.Name(), reason)
	}
}

func describeNodes(l *manager.Lease) string {
	verb := "started"
	if l.Reused() {
		verb = "reused"
	}
	names := make([]string, 0, l.Size())
	for _, n := range l.Nodes {
		if pid := n.PID(); pid > 0 {
			names = append(names, fmt.Sprintf("%s (pid %d)", n.Name(), pid))
		} else {
			names = append(names, n.Name())
		}
	}
	return verb + " " + strings.Join(names, ", ")
}

// deadlineMargin is what is kept of a test's time for telling why it failed.
const deadlineMargin = time.Second

// deadline is the time at which -timeout ends the test.
func deadline(t testing.TB) (time.Time, bool) {
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		return d.Deadline()
	}
	return time.Time{}, false
}

// holds finds the lease of a test, or of a test it is a part of.
func (s *session) holds(test string) *Held {
	for {
		if h := s.held[test]; h != nil {
			return h
		}
		i := strings.LastIndexByte(test, '/')
		if i < 0 {
			return nil
		}
		test = test[:i]
	}
}

// admits says why a second Require by the same test cannot have the cluster
// that is there; nil if it can.
func (h *Held) admits(o requirement.Requirement) error {
	has := h.options
	switch {
	case o.Nodes != 0 && o.Nodes != h.Size() && o.Nodes != has.Nodes:
		return fmt.Errorf("%d nodes asked for, the test's cluster has %d", o.Nodes, h.Size())
	case o.Min > h.Size():
		return fmt.Errorf("at least %d nodes asked for, the test's cluster has %d", o.Min, h.Size())
	case o.Program != has.Program && o.Program != "":
		return fmt.Errorf("program %q asked for, the test's cluster runs %q", o.Program, has.Program)
	}
	for _, p := range o.Ports {
		if !slices.Contains(has.Ports, p) {
			return fmt.Errorf("port %q asked for, the test's cluster has %q", p, has.Ports)
		}
	}
	return nil
}

// effective is what a test needs by its plan and by the options of the call
// that is being made. The plan covers all calls of a test, so one call may ask
// for less; it may also name ports and times that no analyzer could see.
func effective(plan, options requirement.Requirement) (requirement.Requirement, error) {
	for _, p := range options.Ports {
		if !slices.Contains(plan.Ports, p) {
			plan.Ports = append(slices.Clone(plan.Ports), p)
		}
	}
	options.Ports = nil
	if options.Min != 0 {
		plan.Min = 0
	}
	if options.Nodes != 0 && plan.Min > options.Nodes {
		plan.Min = 0
	}
	if options.Timeout != 0 {
		plan.Timeout = 0
	}
	r, err := requirement.Merge(plan, options)
	if err != nil {
		return r, err
	}
	return r, r.Validate()
}

func describe(r requirement.Requirement, size int) string {
	text := r.String()
	if text == "" {
		text = "no particular size"
	}
	if size > 0 && size != r.Nodes {
		text += fmt.Sprintf(" (%d nodes)", size)
	}
	return text
}

// release ends a lease with its test.
func (s *session) release(h *Held) {
	t := h.t
	t.Helper()
	if !h.parallel && isParallel(t) {
		t.Error(misuse(t, diagnostics.UseParallel, diagnostics.Failure{Pos: h.at}).Error())
	}
	s.mu.Lock()
	delete(s.held, t.Name())
	m := s.manager
	s.mu.Unlock()
	h.mu.Lock()
	if h.alarm != nil {
		h.alarm.Stop()
	}
	h.mu.Unlock()

	ctx, cancel := context.Background(), func() {}
	if d, ok := deadline(t); ok {
		ctx, cancel = context.WithDeadline(ctx, d.Add(-deadlineMargin/2))
	}
	defer cancel()
	// Coverage is written when a node exits, and counts if that is before the
	// tests end.
	keep := testing.CoverMode() == ""
	rec := s.recording
	if h.keep == "never" {
		rec = nil
	}
	failing := t.Failed() || panics(t)
	if rec != nil && failing {
		rec.failing(h)
	}
	r := m.Release(ctx, h.Lease, keep, func(problems bool) bool {
		failed := problems || failing || t.Failed()
		if rec != nil && (failed || h.keep == "always") {
			for _, err := range rec.collect(h, h.config.Artifacts.Dirs) {
				t.Logf("dist: %v", err)
			}
		}
		return failed
	})
	for _, p := range foldProblems(r.Problems) {
		if p.Fails {
			t.Errorf("%v", p.Diagnosis)
		} else {
			t.Logf("%v", p.Diagnosis)
		}
		if p.Stacks != "" {
			t.Logf("dist: %s did not stop;\n%s", p.Node, s.keep(t.Name()+"."+p.Node+".stacks.txt", h.keep, []byte(p.Stacks)))
		}
	}
	for _, what := range r.Left {
		t.Logf("dist: left its node's process group, and was ended: %s", what)
	}
	lost := append(s.cover.notes(), r.Lost...)
	for _, note := range append(r.Notes, lost...) {
		t.Logf("dist: %s", note)
	}
	s.report.lost(t.Name(), lost)
	for _, n := range h.Nodes {
		if tail := r.Logs[n.Name()]; len(tail) > 0 {
			t.Logf("%s's last log lines:\n%s", n.Name(), prefixed(n.Name(), tail))
		}
	}
	s.report.released(t.Name())
	rec.ends(h)
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
}

func prefixed(name string, lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(name + " | " + line)
	}
	return b.String()
}

// isParallel reports whether t.Parallel has been called for a test. Package
// testing does not tell; its field is only read, and not there in a later Go it
// means that this mistake is left to distvet.
func isParallel(t testing.TB) bool {
	parallel, _ := field(t, "isParallel")
	return parallel
}

// panics reports whether a test whose cleanups run has come to them by a panic:
// it has not failed yet, and not finished either. In a Go that does not have the
// field such a test leaves its events, and nothing else.
func panics(t testing.TB) bool {
	finished, known := field(t, "finished")
	return known && !finished
}

// field is a field of a test's, if it has it.
func field(t testing.TB, name string) (value, known bool) {
	if tt, ok := t.(*testing.T); ok {
		if f := reflect.ValueOf(tt).Elem().FieldByName(name); f.IsValid() && f.Kind() == reflect.Bool {
			return f.Bool(), true
		}
	}
	return false, false
}

// caller is the file:line outside this module's API that called Require.
func caller() string {
	pcs := make([]uintptr, 8)
	frames := goruntime.CallersFrames(pcs[:goruntime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "github.com/distkit/dist.") && f.File != "" {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if !more {
			return ""
		}
	}
}

// T is the test that holds the lease.
func (h *Held) T() testing.TB { return h.t }
