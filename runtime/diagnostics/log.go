package diagnostics

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// A logTail is what the last lines of a node's log tell, read the way the Go
// runtime, the race detector and package flag write.
type logTail struct {
	lines      []string
	panic      string // "runtime error: index out of range [5]", "fatal error: …"
	panicFrom  int    // index of the line it begins on, -1 if none
	panicTo    int    // index after its first goroutine
	initFunc   string // "example.com/p.init.0", if the panic was in package initialization
	inTestMain bool   // the panic was in TestMain
	race       string // "Write at … by goroutine 7: example.com/p.f()"
	raceFrom   int
	flag       string // "-foo", if a flag was not known
	ranTests   bool   // it ran tests instead of becoming a node
	condition  condition
	fatal      bool   // it is what the Go runtime gives up for
	answered   string // the line that says so
	address    string // the address that condition is about
	hostname   string // the name that does not resolve
	resolve    string // what was said about it
	recursion  string // it was started by itself, and that by itself: how often
	blocked    string // where its main goroutine was when it was asked to tell: "[select] in example.com/p.wait"
	waits      bool   // that is in package initialization, waiting for something
	last       string // the last line that says something, of those that it was not asked for
}

// Excerpts of a log are no longer than this, so that the diagnosis stays a page.
const (
	maxTail  = 20 // lines of an ordinary log
	maxStack = 30 // lines of a goroutine or a race report
	maxWidth = 400

	lastWords   = 20 // lines in which a condition counts
	beforePanic = 5  // and above a panic: the C library's and the runtime's own words
)

// readLog never fails: what it does not recognize it leaves as lines.
func readLog(lines []string) *logTail {
	l := &logTail{panicFrom: -1, raceFrom: -1}
	for _, line := range lines {
		line = strings.TrimRight(line, "\r\n")
		if len(line) > maxWidth {
			line = strings.ToValidUTF8(line[:maxWidth], "") + "…"
		}
		l.lines = append(l.lines, line)
	}
	asked := false // for its stacks, which are not its own words
	for i, line := range l.lines {
		quit := strings.HasPrefix(line, "SIGQUIT: ")
		asked = asked || quit
		if strings.TrimSpace(line) != "" && !asked {
			l.last = strings.TrimSpace(line)
		}
		switch {
		case l.panicFrom < 0 && quit:
			l.readStacks(i)
		case l.panicFrom < 0 && isPanic(line):
			l.readPanic(i)
		case l.raceFrom < 0 && strings.HasPrefix(line, "WARNING: DATA RACE"):
			l.readRace(i)
		case l.panicFrom < 0 && (line == "PASS" || line == "FAIL" || strings.HasPrefix(line, "--- FAIL") || line == "testing: warning: no tests to run"):
			l.ranTests = true
		}
		if _, name, ok := strings.Cut(line, "flag provided but not defined: "); ok {
			l.flag = strings.TrimSpace(name)
		}
		if strings.Contains(line, ranTests) {
			l.ranTests = true
		}
		if _, n, ok := strings.Cut(line, startedItself); ok {
			l.recursion, _, _ = strings.Cut(strings.TrimSpace(n), ":")
		}
	}
	l.readConditions()
	return l
}

// readConditions looks for what the system answered, in the words that were the
// last, or that came with the panic: earlier ones may have been got over.
func (l *logTail) readConditions() {
	from := max(0, len(l.lines)-lastWords)
	if l.panicFrom >= 0 {
		from = min(from, max(0, l.panicFrom-beforePanic))
	}
	for i, line := range l.lines[from:] {
		if l.panicFrom >= 0 && from+i >= l.panicTo {
			break
		}
		if m := lookup().FindStringSubmatch(line); m != nil {
			l.condition, l.hostname, l.resolve = nameUnknown, m[1], strings.TrimSpace(m[0])
		}
		for _, w := range wordings {
			if strings.Contains(line, w.text) {
				l.fatal = w.fatal
				l.condition, l.answered, l.address = w.is, strings.TrimSpace(line), addressIn(line)
				break
			}
		}
	}
}

// What dist itself says in a node's log, and is looked for there.
const (
	ranTests      = "but its TestMain has run the tests"
	startedItself = "this test binary has been started by itself "
)

// lookup is how package net says that a name does not resolve.
var lookup = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`lookup ([\w.-]+)(?: on \S+)?: (?:no such host|server misbehaving|Temporary failure in name resolution|dial udp|read udp|i/o timeout).*`)
})

// wordings are how programs, Go's and others', put into words what the system
// answered them. The first one that a line has counts.
var wordings = []struct {
	text  string
	is    condition
	fatal bool // the Go runtime's own, which it ends the process with
}{
	{"address already in use", addressInUse, false},
	{"Address already in use", addressInUse, false},
	{"Only one usage of each socket", addressInUse, false},
	{"can't assign requested address", addressNotAvailable, false},
	{"cannot assign requested address", addressNotAvailable, false},
	{"bind: permission denied", addressForbidden, false},
	{"no space left on device", noSpace, false},
	{"No space left on device", noSpace, false},
	{"too many open files in system", tooManyFilesSystem, false},
	{"too many open files", tooManyFiles, false},
	{"Too many open files", tooManyFiles, false},
	{"runtime: epollcreate failed with 24", tooManyFiles, true},
	{"runtime: eventfd failed with 24", tooManyFiles, true},
	{"failed to create new OS thread", tryAgain, true},
	{"pthread_create failed: Resource temporarily unavailable", tryAgain, true},
	{"fork: Resource temporarily unavailable", tryAgain, false},
	{"cannot allocate memory", noMemory, false},
	{"Cannot allocate memory", noMemory, false},
	{"fatal error: out of memory", noMemory, true},
	{"fatal error: runtime: out of mem", noMemory, true},
	{"failed to reserve page summary memory", noMemory, true},
}

// hostPort finds "127.0.0.1:80", "[::1]:80" and ":80" in a sentence.
var hostPort = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.%]+\]|localhost|\B):\d{1,5}\b`)
})

// addressIn returns the last address in an error's words: the first can be a
// file's position or a time of day.
func addressIn(text string) string {
	all := hostPort().FindAllString(text, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

func isPanic(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") ||
		strings.HasPrefix(line, "SIGSEGV: ") || strings.HasPrefix(line, "SIGABRT: ") ||
		strings.HasPrefix(line, "runtime/cgo: pthread_create failed") // and SIGABRT
}

// readPanic reads the panic that begins on line i: its message, and its first
// goroutine, which ends at an empty line.
func (l *logTail) readPanic(i int) {
	l.panicFrom = i
	l.panic = strings.TrimPrefix(l.lines[i], "panic: ")
	end := len(l.lines)
	inStack := false
	for k := i + 1; k < len(l.lines); k++ {
		line := l.lines[k]
		switch {
		case strings.HasPrefix(line, "goroutine "):
			inStack = true
		case inStack && strings.TrimSpace(line) == "":
			end = k
		case inStack && !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "created by "):
			l.readFrame(line)
		}
		if end == k {
			break // SIGQUIT and GOTRACEBACK=all go on with the others
		}
	}
	l.panicTo = end
}

// readStacks reads what the Go runtime prints of all goroutines when it is asked
// to, from line i on: the one that matters is the first, in which packages are
// initialized and TestMain runs.
func (l *logTail) readStacks(i int) {
	for k := i + 1; k < len(l.lines); k++ {
		if !strings.HasPrefix(l.lines[k], "goroutine 1 ") {
			continue
		}
		_, state, _ := strings.Cut(l.lines[k], "[")
		state, _, _ = strings.Cut(state, "]")
		state, _, _ = strings.Cut(state, ",") // how long
		l.panicFrom, l.panicTo = k, len(l.lines)
		for j := k + 1; j < len(l.lines); j++ {
			line := l.lines[j]
			if strings.TrimSpace(line) == "" {
				l.panicTo = j
				return
			}
			if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "created by ") {
				continue
			}
			l.readFrame(line)
			fn := line
			if n := strings.LastIndexByte(line, '('); n > 0 {
				fn = line[:n]
			}
			if l.blocked == "" && strings.ContainsAny(strings.Split(fn, "/")[0], ".") && !standard().MatchString(fn) {
				l.blocked = fmt.Sprintf("[%s] in %s", state, fn)
				if j+1 < len(l.lines) {
					pos, _, _ := strings.Cut(strings.TrimSpace(l.lines[j+1]), " +0x")
					l.blocked += " at " + pos
				}
			}
			l.waits = l.initFunc != "" && state != "running" && state != "runnable" && state != "sleep"
		}
		return
	}
}

// standard are functions of the packages that only wait for others'.
var standard = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(runtime|time|sync|syscall|os|net|io|bufio|internal|golang\.org/x/sys)[./]`)
})

// initFrame is how the compiler names init functions (init.0, init.1, …) and
// the one that initializes package variables.
var initFrame = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^init(\.\d+)?$`)
})

// readFrame looks at one function of the panic's stack. Package initialization
// runs before main.main, so a frame of it below the panic is proof.
func (l *logTail) readFrame(line string) {
	full, _, _ := strings.Cut(line, "(")
	name := full
	if i := strings.LastIndex(name, "/"); i >= 0 {
		name = name[i+1:]
	}
	_, fn, ok := strings.Cut(name, ".")
	if !ok {
		return
	}
	switch {
	case initFrame().MatchString(fn):
		l.initFunc = full
	case fn == "TestMain":
		l.inTestMain = true
	}
}

// readRace takes the first access and where it is from the detector's report.
func (l *logTail) readRace(i int) {
	l.raceFrom = i
	l.race = "data race"
	var parts []string
	for _, line := range l.lines[i+1:] {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "====") {
			break
		}
		parts = append(parts, line)
		if len(parts) == 3 {
			break
		}
	}
	if len(parts) > 0 {
		l.race = strings.Join(parts, " ")
	}
}

// excerpt is what to show of the log: the panic or race if there is one, else
// its end. What is left out is counted.
func (l *logTail) excerpt() []string {
	from, to := max(0, len(l.lines)-maxTail), len(l.lines)
	switch {
	case l.panicFrom >= 0:
		from, to = l.panicFrom, min(l.panicTo, l.panicFrom+maxStack)
	case l.raceFrom >= 0:
		from, to = l.raceFrom, min(len(l.lines), l.raceFrom+maxStack)
	}
	var out []string
	if from > 0 {
		out = append(out, fmt.Sprintf("… (%d lines before)", from))
	}
	out = append(out, l.lines[from:to]...)
	if n := len(l.lines) - to; n > 0 {
		out = append(out, fmt.Sprintf("… (%d lines after)", n))
	}
	return out
}
