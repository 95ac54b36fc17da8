package diagnostics

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"time"
)

// maxGather bounds how long evidence is looked for: a diagnosis that comes late
// is worse than one with a gap. Where many want each processor, the same work
// takes so many times longer, ten at most.
func maxGather() time.Duration {
	const most = 500 * time.Millisecond
	crowd := 1.0
	if load, err := load(); err == nil {
		crowd = min(max(load/float64(runtime.NumCPU()), 1), 10)
	}
	return time.Duration(float64(most) * crowd)
}

// Probes that can stop half-way are told to a little earlier, so that the half
// they have is not lost.
const lastCall = 50 * time.Millisecond

// A probe measures one thing. What it returns sets the facts; it runs in a
// goroutine of its own and must not touch them itself.
type probe struct {
	name string
	run  func(ctx context.Context) (set func(*Facts), err error)
}

// Gather measures what bears on f and puts it into f.Facts, unless there are some
// already: they were measured nearer to the failure. It takes maxGather at most, also where ctx has ended, and never fails: what could not
// be learnt is in Facts.Missing. It changes nothing of f but Facts.
//
// A probe that hangs, in the stat of a dead network file system, say, is left
// behind: its goroutine ends when the system lets go of it.
func Gather(ctx context.Context, f *Failure) {
	if !reflect.ValueOf(f.Facts).IsZero() {
		return
	}
	// Often it is the end of ctx that failed: evidence is wanted all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxGather())
	defer cancel()
	gather(ctx, &f.Facts, probes(f))
}

func gather(ctx context.Context, facts *Facts, ps []probe) {
	type result struct {
		i   int
		set func(*Facts)
		err error
	}
	results := make(chan result, len(ps))
	probing := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		probing, cancel = context.WithDeadline(ctx, deadline.Add(-lastCall))
		defer cancel()
	}
	for i, p := range ps {
		go func() {
			r := result{i: i}
			defer func() {
				if v := recover(); v != nil {
					r.set, r.err = nil, fmt.Errorf("panic: %v", v)
				}
				results <- r
			}()
			r.set, r.err = p.run(probing)
		}()
	}
	got := make([]*result, len(ps))
wait:
	for range ps {
		select {
		case r := <-results:
			got[r.i] = &r
		case <-ctx.Done():
			break wait
		}
	}
	// In the order of the probes, so that equal machines give equal texts.
	for i, r := range got {
		switch {
		case r == nil:
			facts.Missing = append(facts.Missing, ps[i].name+": took too long")
		case r.err != nil:
			facts.Missing = append(facts.Missing, ps[i].name+": "+r.err.Error())
		}
		if r != nil && r.set != nil {
			r.set(facts)
		}
	}
}

// A probeList is probes in the order in which their facts are told.
type probeList []probe

func (ps *probeList) add(name string, run func(ctx context.Context) (func(*Facts), error)) {
	*ps = append(*ps, probe{name, func(ctx context.Context) (func(*Facts), error) {
		set, err := run(ctx)
		if errors.Is(err, errors.ErrUnsupported) {
			err = nil // the documentation says where what is missing
		}
		return set, err
	}})
}

func (ps *probeList) limits(name string, measure func(context.Context) ([]Limit, error)) {
	ps.add(name, func(ctx context.Context) (func(*Facts), error) {
		ls, err := measure(ctx)
		return func(facts *Facts) { facts.Limits = append(facts.Limits, ls...) }, err
	})
}

// probes chooses what is worth measuring.
func probes(f *Failure) []probe {
	log := readLog(f.Log)
	c := conditionOf(f.Err)
	if c == "" && f.Exit != nil {
		c = log.condition
	}
	code := classify(f, log) // what it looks like before anything is measured

	var ps probeList
	add, limits := ps.add, ps.limits

	if f.Phase == PhaseExec && f.Exit == nil && !isChdir(f) && path(f) != "" {
		name := path(f)
		add("the file "+name, func(context.Context) (func(*Facts), error) {
			x, err := inspectExecutable(name)
			return func(facts *Facts) { facts.Executable = x }, err
		})
		if f.Dir != "" {
			add("the directory "+f.Dir, func(context.Context) (func(*Facts), error) {
				d, err := inspectDirectory(f.Dir)
				return func(facts *Facts) { facts.WorkDir = d }, err
			})
		}
	}
	switch code {
	case DirMissing, DirPermission, DirFull, DirReadOnly:
		if name := path(f); name != "" {
			add("the directory "+name, func(context.Context) (func(*Facts), error) {
				d, err := inspectDirectory(name)
				return func(facts *Facts) { facts.Dir = d }, err
			})
		}
	}
	switch code {
	case DirPermission, ExecPermission, ExecNoExecMount:
		add("the user", func(context.Context) (func(*Facts), error) {
			u := whoAmI()
			return func(facts *Facts) { facts.User = u }, nil
		})
	}

	if a := address(f, log); a != "" && (c == addressInUse || code == AddrInUse) {
		network := "tcp"
		if f.Err != nil && strings.Contains(f.Err.Error(), " udp") {
			network = "udp"
		}
		add("who holds "+a, func(ctx context.Context) (func(*Facts), error) {
			hs, err := holders(ctx, network, a)
			return func(facts *Facts) { facts.Holders = hs }, err
		})
	}

	if code == AddrUnavailable || code == AddrPermission || asksForName(f, log) {
		add("the local names", func(ctx context.Context) (func(*Facts), error) {
			names, err := localNames(ctx)
			return func(facts *Facts) { facts.Names = names }, err
		})
	}

	switch code {
	case LimitFiles:
		limits("the limit of open files", fileLimits)
		if f.Exit != nil {
			break // the node's are gone
		}
		add("the open files", func(ctx context.Context) (func(*Facts), error) {
			ds, err := descriptors(ctx)
			return func(facts *Facts) { facts.Descriptors = ds }, err
		})
	case LimitFilesSystem:
		limits("the limit of open files", systemFileLimits)
	case LimitProcesses, LimitPIDs:
		limits("the limits of processes", processLimits)
	case LimitMemory, NodeOutOfMemory, NodeHandshakeTimeout:
		limits("memory", memoryLimits)
	}
	if f.Exit.killed() {
		if code != NodeOutOfMemory {
			limits("memory", memoryLimits)
		}
		add("the kernel's count of memory kills", func(context.Context) (func(*Facts), error) {
			n := OOMKills()
			return func(facts *Facts) { facts.OOMKills = n }, nil
		})
	}
	switch code {
	case NodeHandshakeTimeout, NodeHung:
		add("the load", func(context.Context) (func(*Facts), error) {
			load, err := loadAverage()
			return func(facts *Facts) { facts.Load = load }, err
		})
		if f.PID > 0 {
			add(fmt.Sprintf("what pid %d does", f.PID), func(context.Context) (func(*Facts), error) {
				p, err := inspectProcess(f.PID)
				return func(facts *Facts) { facts.Process = p }, err
			})
		}
	}
	return ps
}
