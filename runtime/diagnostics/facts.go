package diagnostics

import (
	"fmt"
	"strings"
	"time"
)

// Facts are what Gather measured. What is nil or empty was not measured: it did
// not bear on the failure, or could not be learnt.
type Facts struct {
	Holders     []Holder    // who holds the address
	Limits      []Limit     // limits in force, and their use
	Descriptors []string    // this process's open descriptors by kind, most first: "412 sockets"
	Executable  *Executable // the file that was to be started
	Dir         *Directory  // the directory concerned, or the nearest one above it that exists
	WorkDir     *Directory  // the same for Failure.Dir
	User        string      // who this process is: "uid 1000"
	Process     *Process    // the node's process, where it still runs
	Names       []string    // what local names are, and the loopback interfaces: "localhost is 127.0.0.1"
	Listening   []string    // the addresses that the node's process listens on; nil if unknown
	Load        string      // how busy the machine is: "load average 7.9 on 2 processors"
	OOMKills    *uint64     // as the function OOMKills
	Missing     []string    // what could not be learnt, and why
}

// EnvRun is in the environment of nodes, and so of what they start: the id of
// their run, a slash, and the node's own.
const EnvRun = "DIST_RUN_ID"

// RunState reports whether anything is known of a run of this user's, and whether
// it has ended without having cleaned up. What starts nodes sets it: it knows
// where runs are entered. Where it is nil nothing is said of that.
var RunState func(run string) (known, ended bool)

// A Holder is a process with a socket on an address somebody else wants.
type Holder struct {
	PID     int       // 0 if the process may not be seen
	Command string    // its command line, cut to a readable length
	Started time.Time // zero if unknown
	UID     int       // whom the socket belongs to
	Local   string    // the socket's own address: "0.0.0.0:7000"
	State   string    // "LISTEN", "TIME_WAIT", …
	Self    bool      // it is this very process
	Run     string    // the id of the run of distributed tests that it comes from, "" if from none (Linux)
	Ended   bool      // that run has: the process is left over from it
	Lost    bool      // nothing is known of that run: it ended long ago, or has another state directory
}

// A Limit is one bound the system sets, and how much of it is used.
type Limit struct {
	Name string // "RLIMIT_NOFILE", "pids.max"
	Of   string // whose: "this process", "uid 1000", "cgroup /user.slice"
	Max  uint64
	Used uint64
	Unit string // "B" for bytes; "" for a count
}

// full reports whether next to nothing of the limit is left.
func (l Limit) full() bool {
	return l.Max > 0 && l.Used >= l.Max-l.Max/32
}

func (l Limit) String() string {
	if l.Unit == "B" {
		return fmt.Sprintf("%s: %s of %s used (%s)", l.Name, bytesText(l.Used), bytesText(l.Max), l.Of)
	}
	return fmt.Sprintf("%s: %d of %d used (%s)", l.Name, l.Used, l.Max, l.Of)
}

// An Executable is a file that was to be started.
type Executable struct {
	Path        string
	Missing     bool
	Mode        string // "-rw-r--r--"
	Owner       string // "uid 0"
	Directory   bool   // it is none
	Exec        bool   // some execute bit is set
	NoExec      string // the mount point, if mounted noexec
	Interpreter string // what its first line, or its ELF header, names
	NoInterp    bool   // and that is not there
	Format      string // "linux/arm64 ELF", "text", "empty file", …
	Foreign     bool   // a program, but not for this machine
}

// A Directory is one that was to be written to.
type Directory struct {
	Asked    string // what was asked for
	Path     string // Asked, or the nearest place above it that exists
	IsDir    bool   // Path is a directory
	Mode     string
	Owner    string
	Mount    string // mount point, if known
	FS       string // file system type, if known
	ReadOnly bool   // mounted read-only
	Free     uint64 // bytes an ordinary user may still write
	Size     uint64 // bytes in all; 0 if not measured
	Inodes   uint64 // in all; 0 if not measured, or the file system has no such limit
	NoInodes bool   // none of them is left
}

// A Process is one that runs but does not answer.
type Process struct {
	PID     int
	State   string // "sleeping", "stopped", …
	Stopped bool   // by SIGSTOP or a debugger
	Threads int
	CPU     time.Duration // processor time used since its start
}

// bytesText is n in the largest unit that keeps it readable.
func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, exp := float64(n)/unit, 0
	for value >= unit && exp < 4 {
		value /= unit
		exp++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[exp])
}

func (h Holder) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is held (%s) by ", h.Local, h.State)
	switch {
	case h.Self:
		fmt.Fprintf(&b, "this very process (pid %d)", h.PID)
	case h.PID > 0:
		fmt.Fprintf(&b, "pid %d, %s", h.PID, h.Command)
	case h.State == "TIME_WAIT":
		b.WriteString("nobody any more: a closed connection that has to time out")
	default:
		fmt.Fprintf(&b, "a process of uid %d that this user may not see", h.UID)
	}
	if !h.Started.IsZero() {
		fmt.Fprintf(&b, ", started %s", h.Started.Format(time.DateTime))
	}
	switch {
	case h.Run != "" && h.Ended:
		fmt.Fprintf(&b, ", left over from run %s, which has ended", h.Run)
	case h.Run != "" && h.Lost:
		fmt.Fprintf(&b, ", of run %s, of which nothing is known here", h.Run)
	case h.Run != "":
		fmt.Fprintf(&b, ", of run %s", h.Run)
	}
	return b.String()
}

func (e *Executable) String() string {
	switch {
	case e.Missing:
		return e.Path + ": there is no such file"
	case e.Directory:
		return e.Path + ": a directory, mode " + e.Mode
	}
	s := fmt.Sprintf("%s: mode %s, %s", e.Path, e.Mode, e.Owner)
	if e.Format != "" {
		s += ", " + e.Format
	}
	if e.NoExec != "" {
		s += ", " + e.NoExec + " is mounted noexec"
	}
	if e.Interpreter != "" {
		s += ", needs " + e.Interpreter
		if e.NoInterp {
			s += " (missing)"
		}
	}
	return s
}

func (d *Directory) String() string {
	s := d.Path
	if d.Path != d.Asked {
		s = fmt.Sprintf("%s does not exist; above it, %s", d.Asked, d.Path)
	}
	kind := "mode"
	if !d.IsDir {
		kind = "not a directory, mode"
	}
	s += fmt.Sprintf(": %s %s, %s", kind, d.Mode, d.Owner)
	if d.FS != "" {
		s += ", " + d.FS
	}
	if d.Mount != "" {
		s += " on " + d.Mount
	}
	if d.ReadOnly {
		s += ", mounted read-only"
	}
	if d.Size > 0 {
		s += fmt.Sprintf(", %s of %s free", bytesText(d.Free), bytesText(d.Size))
	}
	if d.NoInodes {
		s += ", no inode left"
	}
	return s
}

func (p *Process) String() string {
	return fmt.Sprintf("pid %d: %s, %d threads, %s of processor time used", p.PID, p.State, p.Threads, durationText(p.CPU))
}
