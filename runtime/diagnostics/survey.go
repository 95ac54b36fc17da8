package diagnostics

import "context"

// Survey measures the limits that bound how many nodes there can be, before
// any is reached. It takes maxGather at most. missing is what could not be
// learnt, and why.
func Survey(ctx context.Context) (limits []Limit, missing []string) {
	ctx, cancel := context.WithTimeout(ctx, maxGather())
	defer cancel()
	var facts Facts
	var ps probeList
	ps.limits("the limit of open files", fileLimits)
	ps.limits("the system's open files", systemFileLimits)
	ps.limits("the limits of processes", processLimits)
	ps.limits("memory", memoryLimits)
	gather(ctx, &facts, ps)
	return facts.Limits, facts.Missing
}

// limitCodes are the diagnoses of limits that are used up.
var limitCodes = map[string]Code{
	"RLIMIT_NOFILE": LimitFiles,
	"system files":  LimitFilesSystem,
	"RLIMIT_NPROC":  LimitProcesses,
	"threads-max":   LimitProcesses,
	"pids.max":      LimitPIDs,
	"cgroup memory": LimitMemory,
	"memory":        LimitMemory,
}

// UsedUp is the diagnosis of a limit of which next to nothing is left, for the
// failure of op that is going to come of it; nil if there is enough.
func (l Limit) UsedUp(op string) *Diagnosis {
	if !l.full() {
		return nil
	}
	return Diagnose(Failure{Phase: PhasePrepare, Op: op, Code: limitCodes[l.Name], Facts: Facts{Limits: []Limit{l}}})
}
