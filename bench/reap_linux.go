package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/bench/suite"
)

var reap = []line{
	reaping("reap_3", "3 nodes", 3, 5*time.Millisecond, suite.Job{}, false),
	reaping("reap_3_stopped", "3 nodes, which are stopped,", 3, 5*time.Millisecond, suite.Job{}, true),
	reaping("reap_3_parents", "3 nodes, and the child that each has,", 6, 5*time.Millisecond, suite.Job{Parents: true}, false),
	reaping("reap_100", "100 nodes", 100, 30*time.Millisecond, suite.Job{}, false),
}

// idle is what a node takes that does nothing.
var idle = []line{{
	name: "idle_memory", unit: "MiB", goal: goal{more: 1},
	doc:     "memory of an idle node that has answered a call, in proportion where it is shared",
	floor:   "that of a bare process of the same binary",
	measure: measureIdle,
}}

// reaping measures how long processes outlive the test process.
func reaping(name, what string, processes int, most time.Duration, j suite.Job, stopped bool) line {
	j.Kind, j.Nodes = suite.Hold, processes
	if j.Parents {
		j.Nodes = processes / 2
	}
	l := line{
		name: name, unit: "ms", goal: goal{value: most},
		doc:   "from SIGKILL to the test process until its " + what + " are gone",
		floor: fmt.Sprintf("from SIGKILL to %d bare processes until they are gone", processes),
		measure: func(ctx context.Context, b *binary, _ int) (sample, error) {
			return measureReap(ctx, b, j, stopped)
		},
	}
	if processes > 10 {
		l.rounds = 5
	}
	return l
}

func measureReap(ctx context.Context, b *binary, j suite.Job, stopped bool) (sample, error) {
	p, s, err := b.begin(ctx, j)
	if err != nil {
		return sample{}, err
	}
	if stopped {
		for _, pid := range s.PIDs {
			if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
				return sample{}, fmt.Errorf("stop process %d: %w", pid, err)
			}
		}
	}
	ours, err := untilGone(s.PIDs, func() error { return p.cmd.Process.Kill() })
	p.wait() // it was killed
	if err != nil {
		return sample{}, err
	}

	bare, err := suite.StartBareProcesses(b.path, b.args(), len(s.PIDs))
	if err != nil {
		return sample{}, err
	}
	var pids []int
	for _, p := range bare {
		pids = append(pids, p.Pid)
	}
	floor, err := untilGone(pids, func() error {
		for _, p := range bare {
			if err := p.Kill(); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range bare {
		p.Kill()
		p.Wait()
	}
	return sample{ours: float64(ours), floor: float64(floor)}, err
}

// measureIdle holds both at once: what the two share of the binary, they share
// equally.
func measureIdle(ctx context.Context, b *binary, _ int) (s sample, err error) {
	const n = 8
	p, held, err := b.begin(ctx, suite.Job{Kind: suite.Hold, Nodes: n})
	if err != nil {
		return s, err
	}
	defer p.wait()
	defer p.cmd.Process.Kill()
	bare, err := suite.StartBareProcesses(b.path, b.args(), n)
	if err != nil {
		return s, err
	}
	defer func() {
		for _, p := range bare {
			p.Kill()
			p.Wait()
		}
	}()
	for i, pid := range held.PIDs {
		ours, err := proportional(pid)
		if err != nil {
			return s, err
		}
		floor, err := proportional(bare[i].Pid)
		if err != nil {
			return s, err
		}
		s.ours, s.floor = s.ours+ours/n, s.floor+floor/n
	}
	return s, nil
}

// proportional is the proportional set size of a process, in bytes.
func proportional(pid int) (float64, error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no Pss", name)
}

// untilGone is how long processes last after kill, which ends them one way or
// another.
func untilGone(pids []int, kill func() error) (time.Duration, error) {
	var left []unix.PollFd
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return 0, fmt.Errorf("pidfd of process %d: %w", pid, err)
		}
		defer unix.Close(fd)
		left = append(left, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	start := time.Now()
	if err := kill(); err != nil {
		return 0, err
	}
	for len(left) > 0 {
		n, err := unix.Poll(left, 5000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0, fmt.Errorf("%d of processes %v are still there after %v (%v)", len(left), pids, time.Since(start), err)
		}
		still := left[:0]
		for _, p := range left {
			if p.Revents == 0 {
				still = append(still, p)
			}
		}
		left = still
	}
	return time.Since(start), nil
}
