package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/bench/suite"
)

var reap = []line{{
	name: "reap_3", unit: "ms",
	doc:     "from SIGKILL to the test process until its 3 nodes are gone",
	floor:   "from SIGKILL to 3 bare processes until they are gone",
	measure: measureReap,
}}

func measureReap(ctx context.Context, b *binary, _ int) (sample, error) {
	p, s, err := b.begin(ctx, suite.Job{Kind: suite.Hold, Nodes: 3})
	if err != nil {
		return sample{}, err
	}
	ours, err := untilGone(s.PIDs, func() error { return p.cmd.Process.Kill() })
	p.wait() // it was killed
	if err != nil {
		return sample{}, err
	}

	bare, err := suite.StartBareProcesses(b.path, b.args(), 3)
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
