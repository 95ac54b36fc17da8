package diagnostics

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/procstat"
)

// A kernel is what Linux tells in its file systems, below root: "" but in tests.
type kernel struct{ root string }

var linux kernel

func (k kernel) read(name string) (string, error) {
	data, err := os.ReadFile(k.root + name)
	return string(data), err
}

// number reads a file that holds one number; "max" is none.
func (k kernel) number(name string) (n uint64, ok bool) {
	text, err := k.read(name)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return n, err == nil
}

// field returns the number after a key in files of "key value" lines, such as
// memory.events ("oom_kill 3") and meminfo ("MemTotal:   12 kB").
func (k kernel) field(name, key string) (n uint64, ok bool) {
	text, err := k.read(name)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == key {
			n, err := strconv.ParseUint(fields[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// pids yields the processes that may be seen until ctx ends, this one first:
// what it did itself is the likeliest, and should be found even on a machine
// with too many processes to look at in time.
func (k kernel) pids(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		self := os.Getpid()
		if !yield(self) {
			return
		}
		entries, err := os.ReadDir(k.root + "/proc")
		if err != nil {
			return
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || pid == self {
				continue
			}
			if ctx.Err() != nil || !yield(pid) {
				return
			}
		}
	}
}

// Sockets.

// A socket is a line of /proc/net/tcp and its like.
type socket struct {
	local netip.AddrPort
	state string
	uid   int
	inode string
}

var tcpStates = map[string]string{
	"01": "ESTABLISHED", "02": "SYN_SENT", "03": "SYN_RECV", "04": "FIN_WAIT1", "05": "FIN_WAIT2", "06": "TIME_WAIT",
	"07": "CLOSE", "08": "CLOSE_WAIT", "09": "LAST_ACK", "0A": "LISTEN", "0B": "CLOSING",
}

func holders(ctx context.Context, network, address string) ([]Holder, error) {
	return linux.holders(ctx, network, address)
}

// holders finds the processes whose sockets keep address from being bound:
// those on the address itself and those on the wildcard address.
func (k kernel) holders(ctx context.Context, network, address string) ([]Holder, error) {
	host, port, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	var found []socket
	for _, suffix := range []string{"", "6"} {
		text, err := k.read("/proc/net/" + network + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			s, ok := parseSocket(line)
			if !ok || s.local.Port() != port {
				continue
			}
			own := s.local.Addr().Unmap()
			if !host.IsValid() || host.IsUnspecified() || own.IsUnspecified() || own == host {
				found = append(found, s)
			}
		}
	}
	// A listener is reason enough. Connections count only without one: they
	// may be its own, accepted on the same port.
	bound := func(s socket) bool { return s.state == "LISTEN" || network == "udp" }
	if slices.ContainsFunc(found, bound) {
		found = slices.DeleteFunc(found, func(s socket) bool { return !bound(s) })
	}
	if len(found) == 0 {
		return nil, errors.New("nobody listens there now: the socket is gone already, or bound without listening")
	}
	if len(found) > 8 {
		found = found[:8]
	}

	byLink := make(map[string]int) // what /proc/PID/fd/N links to → index in found
	for i, s := range found {
		if s.inode != "0" {
			byLink["socket:["+s.inode+"]"] = i
		}
	}
	var hs []Holder
	seen := make([]bool, len(found))
	if len(byLink) > 0 {
		for pid := range k.pids(ctx) {
			for _, i := range k.socketsOf(pid, byLink) {
				seen[i] = true
				s := found[i]
				h := Holder{
					PID: pid, Command: k.command(pid, s.uid), Started: k.started(pid), UID: s.uid,
					Local: s.local.String(), State: s.state, Self: pid == os.Getpid(),
				}
				if h.Run = k.run(pid); h.Run != "" && !h.Self && RunState != nil {
					known, ended := RunState(h.Run)
					h.Ended, h.Lost = ended, !known
				}
				hs = append(hs, h)
			}
		}
	}
	for i, s := range found {
		if !seen[i] {
			hs = append(hs, Holder{UID: s.uid, Local: s.local.String(), State: s.state})
		}
	}
	return hs, ctx.Err()
}

// socketsOf returns the values of links that descriptors of pid point to.
func (k kernel) socketsOf(pid int, links map[string]int) []int {
	dir := fmt.Sprintf("%s/proc/%d/fd", k.root, pid)
	f, err := os.Open(dir)
	if err != nil {
		return nil // another user's, or gone
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	var is []int
	for _, name := range names {
		link, err := os.Readlink(dir + "/" + name)
		if err != nil {
			continue
		}
		if i, ok := links[link]; ok && !slices.Contains(is, i) {
			is = append(is, i)
		}
	}
	return is
}

// splitAddress takes apart host:port. A host that is not an address, a name or
// nothing, stands for every one.
func splitAddress(address string) (netip.Addr, uint16, error) {
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return netip.Addr{}, 0, fmt.Errorf("address %q has no port", address)
	}
	port, err := strconv.ParseUint(address[i+1:], 10, 16)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("address %q has no numeric port", address)
	}
	host, _ := netip.ParseAddr(strings.Trim(address[:i], "[]"))
	return host.Unmap(), uint16(port), nil
}

// parseSocket reads a line such as
//
//	0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …
func parseSocket(line string) (socket, bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return socket{}, false
	}
	local, ok := parseHexAddr(f[1])
	if !ok {
		return socket{}, false
	}
	uid, err := strconv.Atoi(f[7])
	if err != nil {
		return socket{}, false
	}
	state := tcpStates[f[3]]
	if state == "" {
		state = "state " + f[3]
	}
	return socket{local, state, uid, f[9]}, true
}

// parseHexAddr reads an address as the kernel prints it: 32-bit words of its
// own byte order, then the port.
func parseHexAddr(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	p, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(p)), ok
}

// Processes.

// run is the id of the run of distributed tests that a process comes from. It
// can be read of this user's processes alone.
func (k kernel) run(pid int) string {
	text, err := k.read(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for v := range strings.SplitSeq(text, "\x00") {
		if id, ok := strings.CutPrefix(v, EnvRun+"="); ok {
			run, _, _ := strings.Cut(id, "/")
			return run
		}
	}
	return ""
}

// command is the command line of a process, see CommandLine, or its name in
// brackets if it has none, or is another user's: it is not ours to tell what that
// one does.
func (k kernel) command(pid, uid int) string {
	if uid == os.Geteuid() {
		text, _ := k.read(fmt.Sprintf("/proc/%d/cmdline", pid))
		if cmd := CommandLine(text); cmd != "" {
			return cmd
		}
	}
	name, _ := k.read(fmt.Sprintf("/proc/%d/comm", pid))
	return "[" + strings.TrimSpace(name) + "]"
}

// stat is procstat.Of, below the root.
func (k kernel) stat(pid int) (procstat.Stat, bool) {
	text, err := k.read(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procstat.Stat{}, false
	}
	return procstat.Parse(text)
}

func (k kernel) started(pid int) time.Time {
	s, known := k.stat(pid)
	boot, ok := k.field("/proc/stat", "btime")
	if !known || s.Start == 0 || !ok {
		return time.Time{}
	}
	return time.Unix(int64(boot), 0).Add(s.Start)
}

var processStates = map[string]string{
	"R": "running", "S": "sleeping", "D": "waiting for a device", "T": "stopped", "t": "stopped by a debugger",
	"Z": "ended, not reaped", "X": "ended", "I": "idle",
}

func inspectProcess(pid int) (*Process, error) {
	s, ok := linux.stat(pid)
	if !ok {
		return nil, errors.New("it is gone")
	}
	state := s.State
	if word := processStates[state]; word != "" {
		state = word
	}
	return &Process{
		PID: pid, State: state, Stopped: s.State == "T" || s.State == "t",
		Threads: s.Threads, CPU: s.CPU,
	}, nil
}

func loadAverage() (string, error) {
	load, err := load()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("load average %.2f on %d processors", load, runtime.NumCPU()), nil
}

// load is how many threads have wanted to run in the last minute.
func load() (float64, error) {
	text, err := linux.read("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	load, _, _ := strings.Cut(text, " ")
	return strconv.ParseFloat(load, 64)
}

// Limits.

// descriptors names the kinds of what this process has open, most first. It
// only reads links, which takes no descriptor.
func descriptors(ctx context.Context) ([]string, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return nil, err
	}
	kinds := make(map[string]int)
	for _, fd := range openDescriptors(ctx, r.Cur) {
		link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil {
			continue
		}
		kind, _, isKind := strings.Cut(link, ":")
		switch {
		case strings.HasPrefix(link, "/dev/"):
			kind = link
		case !isKind || strings.HasPrefix(link, "/"):
			kind = "file"
		case kind == "anon_inode":
			kind = strings.Trim(strings.TrimPrefix(link, "anon_inode:"), "[]")
		}
		kinds[kind]++
	}
	names := make([]string, 0, len(kinds))
	for kind := range kinds {
		names = append(names, kind)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := kinds[b] - kinds[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for i, kind := range names {
		names[i] = fmt.Sprintf("%d × %s", kinds[kind], kind)
	}
	if len(names) > 6 {
		names = append(names[:6], "…")
	}
	return names, nil
}

func systemFileLimits(context.Context) ([]Limit, error) {
	text, err := linux.read("/proc/sys/fs/file-nr")
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(text) // allocated, free, maximum
	if len(fields) != 3 {
		return nil, fmt.Errorf("file-nr reads %q", text)
	}
	used, _ := strconv.ParseUint(fields[0], 10, 64)
	most, _ := strconv.ParseUint(fields[2], 10, 64)
	return []Limit{{Name: "system files", Of: "the system", Max: most, Used: used}}, nil
}

func processLimits(ctx context.Context) ([]Limit, error) {
	ls := linux.cgroupLimits("pids", "pids.max", "pids.max", "pids.max", "pids.current", "pids.current")
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &r); err != nil {
		return ls, err
	}
	if r.Cur != unix.RLIM_INFINITY {
		uid := os.Getuid()
		ls = append(ls, Limit{Name: "RLIMIT_NPROC", Of: fmt.Sprintf("uid %d", uid), Max: r.Cur, Used: linux.threadsOf(ctx, uid)})
	}
	if most, ok := linux.number("/proc/sys/kernel/threads-max"); ok {
		if text, err := linux.read("/proc/loadavg"); err == nil {
			if f := strings.Fields(text); len(f) > 3 { // "0.10 0.20 0.30 running/all last"
				_, all, _ := strings.Cut(f[3], "/")
				if used, err := strconv.ParseUint(all, 10, 64); err == nil {
					ls = append(ls, Limit{Name: "threads-max", Of: "the system", Max: most, Used: used})
				}
			}
		}
	}
	return ls, nil
}

// threadsOf counts the threads of a user, as RLIMIT_NPROC does.
func (k kernel) threadsOf(ctx context.Context, uid int) (n uint64) {
	for pid := range k.pids(ctx) {
		status := fmt.Sprintf("/proc/%d/status", pid)
		if owner, ok := k.field(status, "Uid:"); ok && owner == uint64(uid) {
			threads, _ := k.field(status, "Threads:")
			n += threads
		}
	}
	return n
}

func memoryLimits(context.Context) ([]Limit, error) {
	ls := linux.cgroupLimits("memory", "cgroup memory", "memory.max", "memory.limit_in_bytes", "memory.current", "memory.usage_in_bytes")
	for i := range ls {
		ls[i].Unit = "B"
	}
	total, ok1 := linux.field("/proc/meminfo", "MemTotal:")
	available, ok2 := linux.field("/proc/meminfo", "MemAvailable:")
	if ok1 && ok2 {
		ls = append(ls, Limit{Name: "memory", Of: "the machine", Max: total << 10, Used: (total - min(total, available)) << 10, Unit: "B"})
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &r); err == nil && r.Cur != unix.RLIM_INFINITY {
		if text, err := linux.read("/proc/self/statm"); err == nil {
			pages, _, _ := strings.Cut(text, " ")
			n, _ := strconv.ParseUint(pages, 10, 64)
			ls = append(ls, Limit{Name: "RLIMIT_AS", Of: "this process", Max: r.Cur, Used: n * uint64(os.Getpagesize()), Unit: "B"})
		}
	}
	return ls, nil
}

// OOMKills is how many processes the kernel has killed for lack of memory, in
// this process's control group where that is counted, else on the machine.
// Taken when a node starts and put into [Failure.OOMBefore], it lets Diagnose
// tell such a death from somebody's kill. It is nil where nothing counts.
func OOMKills() *uint64 { return linux.oomKills() }

func (k kernel) oomKills() *uint64 {
	for _, g := range k.cgroups("memory") {
		file := g.dir + "/memory.events"
		if g.v1 {
			file = g.dir + "/memory.oom_control"
		}
		if n, ok := k.field(file, "oom_kill"); ok {
			return &n
		}
	}
	if n, ok := k.field("/proc/vmstat", "oom_kill"); ok {
		return &n
	}
	return nil
}

// Control groups.

// A cgroup is one control group that holds this process.
type cgroup struct {
	name string // as the process sees it
	dir  string
	v1   bool
}

// cgroups returns this process's control group for a controller, then those
// above it. With both versions mounted, as systemd's hybrid mode has it, a
// controller is in one of them only: the first one's if version 1 has it.
func (k kernel) cgroups(controller string) []cgroup {
	own, err := k.read("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	mounts, err := k.mounts()
	if err != nil {
		return nil
	}
	var gs []cgroup
	for _, v1 := range []bool{true, false} {
		name, ok := ownCgroup(own, controller, v1)
		if !ok {
			continue
		}
		for _, m := range mounts {
			if v1 && (m.fs != "cgroup" || !slices.Contains(strings.Split(m.super, ","), controller)) || !v1 && m.fs != "cgroup2" {
				continue
			}
			// What is mounted may be a part of the tree: a container's.
			rel := name
			if m.root != "/" {
				if rest, ok := strings.CutPrefix(name, m.root); ok {
					rel = rest
				} else {
					rel = "/"
				}
			}
			for rel = filepath.Clean("/" + rel); ; rel = filepath.Dir(rel) {
				gs = append(gs, cgroup{name: rel, dir: strings.TrimSuffix(m.point+rel, "/"), v1: v1})
				if rel == "/" {
					break
				}
			}
			break
		}
	}
	return gs
}

// ownCgroup finds the line of /proc/self/cgroup for a controller:
// "4:memory:/a" in version 1, "0::/a" in version 2.
func ownCgroup(text, controller string, v1 bool) (string, bool) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if v1 && slices.Contains(strings.Split(parts[1], ","), controller) || !v1 && parts[0] == "0" && parts[1] == "" {
			return parts[2], true
		}
	}
	return "", false
}

// cgroupLimits returns the limit that leaves least, as name. A limit of a group
// above counts just as well as one's own.
func (k kernel) cgroupLimits(controller, name, max2, max1, used2, used1 string) []Limit {
	const none = 1 << 60 // version 1 has no word for "no limit", only a huge number
	var tightest *Limit
	for _, g := range k.cgroups(controller) {
		maxFile, usedFile := max2, used2
		if g.v1 {
			maxFile, usedFile = max1, used1
		}
		most, ok1 := k.number(g.dir + "/" + maxFile)
		used, ok2 := k.number(g.dir + "/" + usedFile)
		if !ok1 || !ok2 || most >= none {
			continue
		}
		l := Limit{Name: name, Of: "control group " + g.name, Max: most, Used: used}
		if tightest == nil || l.Max-min(l.Max, l.Used) < tightest.Max-min(tightest.Max, tightest.Used) {
			tightest = &l
		}
	}
	if tightest == nil {
		return nil
	}
	return []Limit{*tightest}
}

// Mounts.

// A mountLine is what of a line of /proc/self/mountinfo is of use here.
type mountLine struct {
	root, point, options, fs, super string
}

func (k kernel) mounts() ([]mountLine, error) {
	text, err := k.read("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var ms []mountLine
	for line := range strings.Lines(text) {
		// 36 35 98:0 /root /point rw,noatime optional… - ext3 /dev/root rw
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 3 {
			continue
		}
		ms = append(ms, mountLine{unescape(f[3]), unescape(f[4]), f[5], g[0], g[2]})
	}
	return ms, nil
}

// unescape undoes the kernel's \040 for a space and its like.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// mountOf finds the file system that a path is on.
func mountOf(name string) (mount, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return mount{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	m := mount{
		readOnly: st.Flags&unix.ST_RDONLY != 0,
		noExec:   st.Flags&unix.ST_NOEXEC != 0,
		free:     st.Bavail * uint64(st.Bsize),
		size:     st.Blocks * uint64(st.Bsize),
		inodes:   st.Files,
		noInodes: st.Files > 0 && st.Ffree == 0,
	}
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		real = name
	}
	real, err = filepath.Abs(real)
	if err != nil {
		return m, err
	}
	mounts, err := linux.mounts()
	if err != nil {
		return m, nil
	}
	// The longest mount point above it; of several on the same point, the
	// last one covers the others.
	for _, l := range mounts {
		inside := l.point == "/" || real == l.point || strings.HasPrefix(real, l.point+"/")
		if inside && len(l.point) >= len(m.point) {
			m.point, m.fs = l.point, l.fs
		}
	}
	return m, nil
}
