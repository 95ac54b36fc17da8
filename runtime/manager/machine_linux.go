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

// cgroupMemory walks from this process's control group to the root: every
// limit on the way holds. Version 2 has memory.max, version 1
// memory.limit_in_bytes in a hierarchy of its own.
func cgroupMemory() (least uint64) {
	b, err := readSmall("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		var root, file string
		switch {
		case parts[1] == "":
			root, file = "/sys/fs/cgroup", "memory.max"
		case strings.Contains(","+parts[1]+",", ",memory,"):
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := parts[2]; ; dir = dir[:strings.LastIndexByte(dir, '/')] {
			if b, err := readSmall(root + dir + "/" + file); err == nil {
				// "max", or in version 1 a number near 2⁶³, is no limit.
				if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil && n < 1<<60 && (least == 0 || n < least) {
					least = n
				}
			}
			if dir == "" || dir == "/" {
				break
			}
		}
	}
	return least
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
