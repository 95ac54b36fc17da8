package manager

import (
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// memory returns the memory this process may use in bytes, and whose limit it
// is: the machine's, or that of the tightest control group around it.
func memory() (total uint64, source string) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		total, source = uint64(info.Totalram)*uint64(info.Unit), "memory"
	}
	if n := cgroupMemory(); n > 0 && (total == 0 || n < total) {
		total, source = n, "memory in this control group"
	}
	return total, source
}

// cgroupMemory is the tightest of the limits that hold: version 2 has
// memory.max, version 1 memory.limit_in_bytes in a hierarchy of its own.
func cgroupMemory() (least uint64) {
	cgroups("memory", func(dir string, v2 bool) {
		name := "/memory.limit_in_bytes"
		if v2 {
			name = "/memory.max"
		}
		if n := number(dir + name); n > 0 && (least == 0 || n < least) {
			least = n
		}
	})
	return least
}

// cgroupProcesses is the tightest limit of processes, which counts threads.
func cgroupProcesses() (least uint64) {
	cgroups("pids", func(dir string, _ bool) {
		if n := number(dir + "/pids.max"); n > 0 && (least == 0 || n < least) {
			least = n
		}
	})
	return least
}

// freeMemory is what can be had without taking it from a process: of the
// machine's, and in every control group around this process. Files that are only
// cached are as good as free.
func freeMemory() (bytes uint64, ok bool) {
	if b, err := readSmall("/proc/meminfo"); err == nil {
		var kib uint64
		if kib, ok = field(b, "MemAvailable:"); ok {
			bytes = kib << 10
		}
	}
	cgroups("memory", func(dir string, v2 bool) {
		limit, usage, cached := "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"
		if v2 {
			limit, usage, cached = "/memory.max", "/memory.current", "inactive_file"
		}
		most := number(dir + limit)
		if most == 0 {
			return
		}
		used := number(dir + usage)
		if b, err := readSmall(dir + "/memory.stat"); err == nil {
			if n, has := field(b, cached); has {
				used -= min(n, used)
			}
		}
		if free := most - min(used, most); !ok || free < bytes {
			bytes, ok = free, true
		}
	})
	return bytes, ok
}

// cgroups visits the control groups that a controller has around this process,
// from its own to the root: every limit on the way holds.
func cgroups(controller string, visit func(dir string, v2 bool)) {
	b, err := readSmall("/proc/self/cgroup")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root, v2 := "/sys/fs/cgroup", parts[1] == ""
		if !v2 {
			if !strings.Contains(","+parts[1]+",", ","+controller+",") {
				continue
			}
			root += "/" + controller
		}
		for dir := parts[2]; ; dir = dir[:strings.LastIndexByte(dir, '/')] {
			visit(root+dir, v2)
			if dir == "" || dir == "/" {
				break
			}
		}
	}
}

// number reads a file of one number; 0 if there is none, or no limit: "max", or in
// version 1 a number near 2⁶³.
func number(file string) uint64 {
	b, err := readSmall(file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n >= 1<<60 {
		return 0
	}
	return n
}

// field finds the number after a word at the beginning of a line.
func field(b []byte, name string) (n uint64, ok bool) {
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, err := strconv.ParseUint(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// readSmall reads a kernel's file of a few lines. Package os would introduce
// each to the poller, which triples the system calls that the first start of a
// test binary has to wait for.
func readSmall(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, b)
		if err != unix.EINTR {
			return b[:max(n, 0)], err
		}
	}
}

func rlimitFiles() uint64 { return rlimit(unix.RLIMIT_NOFILE) }

// rlimitProcesses does not hold for root.
func rlimitProcesses() uint64 {
	if unix.Geteuid() == 0 {
		return 0
	}
	return rlimit(unix.RLIMIT_NPROC)
}

func rlimit(which int) uint64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(which, &r); err != nil || r.Cur >= math.MaxInt64 {
		return 0
	}
	return r.Cur
}
