package diagnostics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Diagnose says what f means. It reads nothing but f: call Gather before, if
// evidence from the machine is wanted. It never returns nil.
//
// If f.Err is, or wraps, a Diagnosis, that one is returned again (a copy, with
// f.Fallback if that is set): what was understood below is not understood
// better above.
func Diagnose(f Failure) *Diagnosis {
	if inner, ok := errors.AsType[*Diagnosis](f.Err); ok && f.Code == "" {
		d := *inner
		if f.Fallback != "" {
			d.Fallback = f.Fallback
		}
		return &d
	}

	log := readLog(f.Log)
	r := find(classify(&f, log))
	if r == nil {
		r = find(Unknown)
	}
	known := known(&f, r, log)

	problem := r.problem
	if problem == "" {
		problem = r.title
	}
	// A problem whose facts are not known falls back on the title, which has
	// none.
	node := known["node"]
	switch n := len(f.Alike); {
	case n == 1:
		known["node"] += ", like " + f.Alike[0] + ","
	case n > 1:
		known["node"] += fmt.Sprintf(", like %d others,", n)
	}
	symptom, ok := expand(problem, known)
	if !ok {
		symptom = r.title
	}
	known["node"] = node
	d := &Diagnosis{
		Code:       r.code,
		Title:      r.title,
		Problem:    "cannot " + known["op"] + ": " + symptom,
		Cause:      cmp.Or(first(r.causes, known), r.title),
		Fallback:   f.Fallback,
		Retry:      r.retry > 0,
		RetryAfter: r.retry,
		Reduce:     r.reduce,
		Skip:       r.skip,
		Phase:      f.Phase,
		Err:        f.Err,
	}
	typed := commandWords(known)
	for _, rem := range r.remedies {
		if !rem.suits(f.goos()) {
			continue
		}
		if text, ok := expand(rem.text, typed); ok {
			d.Remedies = append(d.Remedies, text)
		}
	}
	d.Evidence = evidence(&f, d, log)
	return d
}

// goos is the operating system whose remedies are wanted.
func (f *Failure) goos() string {
	if f.OS != "" {
		return f.OS
	}
	return runtime.GOOS
}

// classify chooses the row. The order is from what is certain to what is
// likely: what the caller says, how a process ended, what the system answered,
// how far things had come.
func classify(f *Failure, log *logTail) Code {
	if f.Code != "" {
		return f.Code
	}
	switch f.Phase {
	case PhaseConfig:
		switch conditionOf(f.Err) {
		case tooManyFiles:
			return LimitFiles
		case tooManyFilesSystem:
			return LimitFilesSystem
		}
		if errors.Is(f.Err, fs.ErrNotExist) {
			return ConfigMissing
		}
		return ConfigInvalid
	case PhaseLimits:
		return classifySize(f)
	case PhaseBootstrap:
		if f.Exit == nil && f.Err == nil {
			switch {
			case f.OwnTestMain:
				return BootstrapTestMain
			case f.Name != "":
				return BootstrapStale
			default:
				return BootstrapMissing
			}
		}
	}
	if f.Exit != nil {
		return classifyExit(f, log)
	}
	if code := classifySystem(f, conditionOf(f.Err)); code != "" {
		return code
	}
	switch {
	case errors.Is(f.Err, context.Canceled):
		return TimeCanceled
	case f.Phase == PhaseHandshake && timedOut(f):
		return NodeHandshakeTimeout
	case (f.Phase == PhaseCall || f.Phase == PhaseStop) && timedOut(f):
		return NodeHung
	case errors.Is(f.Err, context.DeadlineExceeded):
		return TimeDeadline
	case errors.Is(f.Err, errors.ErrUnsupported):
		return EnginePlatform
	}
	return Unknown
}

// timedOut reports whether f is about waiting too long.
func timedOut(f *Failure) bool {
	type timeout interface{ Timeout() bool }
	if t, ok := errors.AsType[interface {
		error
		timeout
	}](f.Err); ok && t.Timeout() {
		return true
	}
	return f.Limit > 0 && f.Elapsed >= f.Limit
}

func classifySize(f *Failure) Code {
	switch {
	case f.Asked == 0 && (errors.Is(f.Err, context.DeadlineExceeded) || f.Limit > 0):
		return TimeDeadline
	case f.Asked == 0:
		return Unknown
	case strings.HasPrefix(f.Source, "ci.") || strings.Contains(f.Source, "[ci]") || strings.Contains(f.Source, "DIST_CI_"):
		return SizeCI
	case f.Source == "", strings.Contains(strings.ToLower(f.Source), "max_nodes") && !strings.Contains(strings.ToLower(f.Source), "on_machine"):
		return SizeMaxNodes
	default:
		return SizeMachine
	}
}

// classifyExit is for a process that has ended.
func classifyExit(f *Failure, log *logTail) Code {
	if log.recursion != "" {
		return NodeRecursion
	}
	// A panic during shutdown still exits 2, a race 66, whatever the phase.
	if f.Exit.Code == 66 && log.race != "" {
		return NodeRace
	}
	if f.Exit.killed() && newOOMKills(f) > 0 {
		return NodeOutOfMemory
	}
	early := f.Phase == PhaseHandshake || f.Phase == PhaseExec || f.Phase == PhaseBootstrap
	if !early {
		switch {
		case f.Exit.Signal != "" || f.Exit.killed():
			return NodeSignal
		case log.panic != "" && log.fatal: // which no function of the test's is to blame for
			return classifySystem(f, log.condition)
		case log.panic != "":
			return NodePanic
		case f.Phase == PhaseStop:
			return NodeExitUnnoticed
		default:
			return NodeExit
		}
	}
	switch {
	case log.flag != "" && f.Exit.Code == 2:
		return NodeFlags
	case log.ranTests:
		return BootstrapTestMain
	}
	// What the node itself could not do is told best by the row for that.
	if code := classifySystem(f, log.condition); code != "" {
		return code
	}
	switch {
	case log.panic != "" && log.initFunc != "":
		return NodeInitPanic
	case log.panic != "" && log.inTestMain:
		return NodeTestMain
	case log.panic != "":
		return NodePanic
	case f.Exit.Signal != "" || f.Exit.killed():
		return NodeSignal
	case f.OwnTestMain:
		return NodeTestMain
	}
	return NodeExitEarly
}

// classifySystem is for what the operating system answered.
func classifySystem(f *Failure, c condition) Code {
	switch c {
	case tooManyFiles:
		return LimitFiles
	case tooManyFilesSystem:
		return LimitFilesSystem
	case noMemory:
		return LimitMemory
	case addressInUse:
		return AddrInUse
	case addressNotAvailable:
		return AddrUnavailable
	case addressForbidden:
		return AddrPermission
	case nameUnknown:
		return AddrResolve
	case noSpace:
		return DirFull
	case readOnly:
		return DirReadOnly
	case tryAgain:
		if f.Phase == PhaseExec || f.Exit != nil {
			if l := limit(f, "pids.max"); l != nil && l.full() {
				return LimitPIDs
			}
			return LimitProcesses
		}
	}

	if f.Exit != nil { // the rest is about our own starting of a process
		return ""
	}
	if f.Phase == PhaseExec && !isChdir(f) {
		return classifyExec(f, c)
	}
	switch c {
	case notFound, notDirectory:
		return DirMissing
	case permission:
		if address(f, nil) != "" && path(f) == "" {
			return AddrPermission
		}
		return DirPermission
	}
	return ""
}

// classifyExec is for a file that would not start.
func classifyExec(f *Failure, c condition) Code {
	x := f.Facts.Executable
	switch c {
	case notFound:
		// The system gives one answer for three causes; the facts tell
		// them apart.
		switch {
		case x == nil || x.Missing:
			return ExecNotFound
		case x.NoInterp:
			return ExecInterpreter
		case f.Facts.WorkDir != nil && f.Facts.WorkDir.Path != f.Facts.WorkDir.Asked:
			return DirMissing
		default:
			return ExecInterpreter
		}
	case notDirectory:
		return ExecNotFound
	case permission:
		if x != nil && x.NoExec != "" && x.Exec {
			return ExecNoExecMount
		}
		return ExecPermission
	case badFormat:
		return ExecFormat
	case textBusy:
		return ExecBusy
	case tooLong:
		return ExecArgsTooLong
	}
	return ""
}

// isChdir reports whether package os says that it is the working directory
// that could not be entered.
func isChdir(f *Failure) bool {
	p, ok := errors.AsType[*fs.PathError](f.Err)
	return ok && p.Op == "chdir"
}

// path is the file or directory concerned.
func path(f *Failure) string {
	if isChdir(f) {
		p, _ := errors.AsType[*fs.PathError](f.Err)
		return p.Path
	}
	if f.Path != "" {
		return f.Path
	}
	if p, ok := errors.AsType[*fs.PathError](f.Err); ok {
		return p.Path
	}
	if x, ok := errors.AsType[*exec.Error](f.Err); ok {
		return x.Name
	}
	return ""
}

// address is the host:port concerned: the caller's, or the one that the error
// or the node's log speaks of.
func address(f *Failure, log *logTail) string {
	if f.Address != "" {
		return f.Address
	}
	if f.Err != nil {
		if a := addressIn(f.Err.Error()); a != "" {
			return a
		}
	}
	if log != nil {
		return log.address
	}
	return ""
}

func limit(f *Failure, name string) *Limit {
	for i := range f.Facts.Limits {
		if f.Facts.Limits[i].Name == name {
			return &f.Facts.Limits[i]
		}
	}
	return nil
}

// newOOMKills is how many processes the kernel has killed for lack of memory
// since the node started, as far as that was counted.
func newOOMKills(f *Failure) uint64 {
	if f.OOMBefore == nil || f.Facts.OOMKills == nil || *f.Facts.OOMKills < *f.OOMBefore {
		return 0
	}
	return *f.Facts.OOMKills - *f.OOMBefore
}

// defaultOp says what was being done where the caller did not.
var defaultOp = map[Phase]string{
	PhaseConfig:    "read the configuration",
	PhaseBootstrap: "use the bootstrap",
	PhaseLimits:    "have a cluster",
	PhasePrepare:   "prepare a node",
	PhaseExec:      "start a node",
	PhaseHandshake: "start a node",
	PhaseCall:      "use a node",
	PhaseStop:      "end the lease",
}

// startPhases are the phases of a start, for people.
var startPhases = map[Phase]string{
	PhasePrepare:   "prepare, before a process is started",
	PhaseExec:      "exec, the starting of the process",
	PhaseHandshake: "handshake, from the start of the process to its first answer",
}

// known collects the facts of a failure under the names that templates use.
// A name that is not in the result is not known; names that begin with "if-"
// are conditions: known, and empty, where they hold.
func known(f *Failure, r *row, log *logTail) map[string]string {
	m := map[string]string{"node": "a node", "platform": f.goos() + "/" + runtime.GOARCH}
	set := func(name, value string) {
		if value != "" {
			m[name] = value
		}
	}
	when := func(name string, holds bool) {
		if holds {
			m["if-"+name] = ""
		}
	}
	number := func(name string, n int) {
		if n > 0 {
			m[name] = strconv.Itoa(n)
		}
	}

	set("op", defaultOp[f.Phase])
	set("op", f.Op)
	if m["op"] == "" {
		m["op"] = "use a cluster"
	}
	set("node", f.Node)
	set("name", f.Name)
	set("source", f.Source)
	variable := strings.Contains(f.Source, "DIST_")
	when("variable", variable)
	when("file", !variable)
	set("pos", f.Pos)
	set("doing", f.Doing)
	when("silent", f.Doing == "")
	set("path", path(f))
	number("asked", f.Asked)
	number("pid", f.PID)
	if f.Asked > 0 {
		m["allowed"] = strconv.Itoa(f.Allowed)
	}
	if f.Elapsed > 0 {
		m["elapsed"] = durationText(f.Elapsed)
	}
	if f.Limit > 0 {
		m["limit"] = durationText(f.Limit)
	}
	if f.Err != nil {
		set("err", firstLine(f.Err.Error()))
	}
	if f.Exit != nil {
		m["exit"] = f.Exit.String()
		set("signal", signalName(f.Exit.Signal))
		if f.Exit.Signal == "" && f.Exit.killed() {
			m["signal"] = "SIGKILL (137 is 128+9)"
		}
	}
	if len(f.Details) > 0 {
		set("leak", firstLine(f.Details[0]))
	}

	if a := address(f, log); a != "" {
		m["address"] = a
		if ap, err := netip.ParseAddrPort(a); err == nil {
			m["host"] = ap.Addr().String()
			m["port"] = strconv.Itoa(int(ap.Port()))
			when("lowport", ap.Port() < 1024)
			when("unreachable", ap.Addr().IsLoopback() && conditionOf(f.Err) == unreachable)
		} else if _, port, ok := strings.Cut(a, ":"); ok {
			set("port", port)
		}
	}

	set("hostname", log.hostname)
	set("resolve", log.resolve)
	when("localhost", log.hostname == "localhost")
	when("hosts", log.hostname != "" && !strings.Contains(log.hostname, "."))
	set("recursion", log.recursion)
	set("blocked", log.blocked)
	when("waits", log.waits)
	when("spoke", log.last != "")
	early := f.Phase == PhaseHandshake
	when("program", early && f.Path != "")
	when("binary", early && f.Path == "")
	if l := f.Facts.Listening; l != nil && f.Address != "" {
		listens := slices.Contains(l, f.Address)
		when("elsewhere", len(l) > 0 && !listens)
		when("answers", listens)
	}
	if f.Phase == PhaseLimits {
		when("configured", strings.Contains(f.Source, "max_nodes_on_machine"))
		when("files-bound", strings.Contains(f.Source, "ulimit -n"))
		when("procs-bound", strings.Contains(f.Source, "ulimit -u"))
	}
	when("built", strings.Contains(f.Path, filepath.Join("dist", "build")+string(filepath.Separator)))

	set("panic", log.panic)
	set("race", log.race)
	set("flag", log.flag)
	set("initfunc", log.initFunc)
	set("lastlog", log.last)
	when("ran", log.ranTests)

	if x := f.Facts.Executable; x != nil {
		set("mode", x.Mode)
		set("owner", x.Owner)
		set("mount", x.NoExec)
		set("format", x.Format)
		if x.NoInterp {
			set("interpreter", x.Interpreter)
		}
		when("directory", x.Directory)
		when("noexecbit", !x.Directory && !x.Missing && !x.Exec)
	}
	if r.code == DirMissing && f.Facts.Dir == nil && f.Facts.WorkDir != nil && f.Facts.WorkDir.Path != f.Facts.WorkDir.Asked {
		f.Facts.Dir = f.Facts.WorkDir
		m["path"] = f.Facts.WorkDir.Asked
	}
	if d := f.Facts.Dir; d != nil {
		set("dir", d.Path)
		set("mode", d.Mode)
		set("owner", d.Owner)
		if d.ReadOnly {
			set("mount", d.Mount)
		}
		if d.Size > 0 {
			set("free", bytesText(d.Free))
			set("size", bytesText(d.Size))
		}
		when("noinodes", d.NoInodes)
		when("notdir", !d.IsDir)
		when("above", d.IsDir && d.Path != d.Asked)
	}
	set("user", f.Facts.User)
	when("stopped", f.Facts.Process != nil && f.Facts.Process.Stopped)

	if len(f.Facts.Holders) > 0 {
		h := f.Facts.Holders[0]
		set("holding", h.Local)
		if h.PID > 0 {
			number("pid", h.PID)
			set("command", h.Command)
		} else if h.State != "TIME_WAIT" {
			m["holder-uid"] = strconv.Itoa(h.UID)
		}
		when("self", h.Self)
		when("leftover", h.Ended)
		when("lost", h.Lost)
		when("running", h.Run != "" && !h.Ended && !h.Lost && !h.Self)
		when("other", (h.Run == "" || h.Lost) && !h.Self)
	}

	for name, key := range map[string]string{
		"RLIMIT_NOFILE": "files", "system files": "sysfiles", "RLIMIT_NPROC": "procs",
		"pids.max": "pids", "cgroup memory": "cgroup-memory", "memory": "memory",
	} {
		l := limit(f, name)
		if l == nil {
			continue
		}
		format := func(n uint64) string { return strconv.FormatUint(n, 10) }
		if l.Unit == "B" {
			format = bytesText
		}
		m[key+"-used"], m[key+"-max"] = format(l.Used), format(l.Max)
		when(key+"-full", l.full())
	}
	if f.Exit != nil && log.condition == tooManyFiles {
		set("files-node", log.answered)
	}
	if l := limit(f, "RLIMIT_NOFILE"); l != nil {
		when("files-low", l.Max < 256)
	}
	if len(f.Facts.Limits) > 0 {
		when("address-space", !slices.ContainsFunc(f.Facts.Limits, func(l Limit) bool { return l.Name != "RLIMIT_AS" && l.full() }))
	}
	if n := f.Facts.OOMKills; n != nil && *n > 0 && f.Exit.killed() {
		m["oomkills"] = strconv.FormatUint(*n, 10)
	}
	if n := newOOMKills(f); n > 0 {
		m["oomkills-new"] = strconv.FormatUint(n, 10)
	}
	return m
}

// signalName is what a signal is called in manuals, for the usual ones.
func signalName(text string) string {
	switch text {
	case "killed":
		return "SIGKILL"
	case "terminated":
		return "SIGTERM"
	case "interrupt":
		return "SIGINT"
	case "hangup":
		return "SIGHUP"
	case "aborted":
		return "SIGABRT"
	case "segmentation fault":
		return "SIGSEGV"
	case "bus error":
		return "SIGBUS"
	}
	return text
}

// commandWords are the facts as remedies have them: paths can be copied to a
// shell.
func commandWords(known map[string]string) map[string]string {
	m := maps.Clone(known)
	for _, name := range []string{"path", "dir", "mount"} {
		if v, ok := m[name]; ok && strings.ContainsAny(v, " \t\"'\\$`*?[]{}()<>|&;#~!") {
			m[name] = "'" + strings.ReplaceAll(v, "'", `'\''`) + "'"
		}
	}
	return m
}

// first returns the first template whose facts are known, filled in.
func first(templates []string, known map[string]string) string {
	for _, t := range templates {
		if s, ok := expand(t, known); ok {
			return s
		}
	}
	return ""
}

// expand fills in the {word}s of a template; ok is false if one of them is not
// known. Braces around anything but lower-case letters and hyphens are left as
// they are: they are Go.
func expand(template string, known map[string]string) (_ string, ok bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		word, after, closed := strings.Cut(rest, "}")
		if !closed || word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-") != "" {
			b.WriteByte('{')
			template = rest
			continue
		}
		value, ok := known[word]
		if !ok {
			return "", false
		}
		b.WriteString(value)
		template = after
	}
}

// evidence lists what speaks for the diagnosis: first what the system said,
// then what was measured, then what the caller knows, then the log.
func evidence(f *Failure, d *Diagnosis, log *logTail) []string {
	var ev []string
	add := func(s string) {
		if s != "" {
			ev = append(ev, s)
		}
	}
	if f.Pos != "" && !strings.Contains(d.Cause, f.Pos) {
		add("at " + f.Pos)
	}
	if f.Err != nil {
		if text := f.Err.Error(); !strings.Contains(d.Cause, text) && !strings.Contains(d.Problem, text) {
			for line := range strings.Lines(text) {
				add(strings.TrimRight(line, "\n"))
			}
		}
	}
	switch {
	case f.Exit != nil && f.Elapsed > 0:
		add(fmt.Sprintf("%s after %s", f.Exit, durationText(f.Elapsed)))
	case f.Exit != nil:
		add(f.Exit.String())
	case f.Elapsed > 0 && f.Limit > 0:
		add(fmt.Sprintf("%s of %s have passed", durationText(f.Elapsed), durationText(f.Limit)))
	case f.Elapsed > 0:
		add(durationText(f.Elapsed) + " have passed")
	}
	if what, ok := startPhases[f.Phase]; ok {
		add("phase: " + what)
	}
	if f.PID > 0 && f.Facts.Process == nil {
		add(fmt.Sprintf("pid of %s: %d", cmp.Or(f.Node, "the node"), f.PID))
	}
	if f.Asked > 0 && !strings.Contains(d.Cause, strconv.Itoa(f.Asked)) {
		add(fmt.Sprintf("asked for %d, allowed %d", f.Asked, f.Allowed))
	}
	if f.Source != "" && !strings.Contains(d.Cause, f.Source) {
		add("set by " + f.Source)
	}

	x := &f.Facts
	if x.Executable != nil {
		add(x.Executable.String())
	}
	if x.Dir != nil {
		add(x.Dir.String())
	}
	if x.WorkDir != nil && x.WorkDir != x.Dir {
		add("working directory " + x.WorkDir.String())
	}
	if x.User != "" && !strings.Contains(d.Cause, x.User) {
		add("this is " + x.User)
	}
	for _, h := range x.Holders {
		add(h.String())
	}
	for _, l := range x.Limits {
		add(l.String())
	}
	if x.Process != nil {
		add(x.Process.String())
	}
	for _, n := range x.Names {
		add(n)
	}
	add(x.Load)
	if len(x.Descriptors) > 0 {
		add("open here: " + strings.Join(x.Descriptors, ", "))
	}
	if n := x.OOMKills; n != nil && f.Exit.killed() {
		if f.OOMBefore != nil {
			add(fmt.Sprintf("killed for lack of memory by the kernel: %d since the node started", newOOMKills(f)))
		} else {
			add(fmt.Sprintf("killed for lack of memory by the kernel: %d so far", *n))
		}
	}
	for _, m := range x.Missing {
		add("not known: " + m)
	}
	if len(f.Alike) > 0 {
		add("the same on " + strings.Join(f.Alike, ", "))
	}
	for _, detail := range f.Details {
		for line := range strings.Lines(detail) {
			add(strings.TrimRight(line, "\n"))
		}
	}
	for _, line := range log.excerpt() {
		ev = append(ev, "| "+line)
	}
	return ev
}

// durationText is d without digits that nobody reads.
func durationText(d time.Duration) string {
	switch {
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return d.String()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}
