package procstat

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is one of USER_HZ, in which /proc counts: 100 on every architecture that
// Go runs on.
const tick = time.Second / 100

// A Stat is what is known of a process, by the names of proc_pid_stat(5). What an
// older kernel does not tell is zero.
type Stat struct {
	Comm    string // of its command, the first 15 bytes
	State   string // "R" runs, "S" sleeps, "T" is stopped, …
	PPID    int
	PGRP    int
	CPU     time.Duration // user and system
	Threads int
	Start   time.Duration // since the machine was booted
	Exit    int           // of a zombie: status as of wait(2)
}

// Zombie reports whether the first thread is gone, or waits to be reaped. Others
// may outlive it: then there are more Threads than one.
func (s *Stat) Zombie() bool { return s.State == "Z" || s.State == "X" }

// Of is about a process; ok is false where it is gone.
func Of(pid int) (s Stat, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, false
	}
	return Parse(string(b))
}

// Parse reads the line of a process. Its second word is the command in
// parentheses, which may itself hold spaces and parentheses.
func Parse(line string) (s Stat, ok bool) {
	begin, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if begin < 0 || end < begin {
		return Stat{}, false
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) < 3 {
		return Stat{}, false
	}
	field := func(number int) int64 { // counted as in the manual
		if number -= 3; number >= len(fields) {
			return 0
		}
		n, _ := strconv.ParseInt(fields[number], 10, 64)
		return n
	}
	return Stat{
		Comm: line[begin+1 : end], State: fields[0],
		PPID: int(field(4)), PGRP: int(field(5)),
		CPU:     time.Duration(field(14)+field(15)) * tick,
		Threads: int(field(20)),
		Start:   time.Duration(field(22)) * tick,
		Exit:    int(field(52)),
	}, true
}

// PIDs are the processes that may be seen.
func PIDs() ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
