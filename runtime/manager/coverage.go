package manager

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
)

// killedByTest is the reason for the end of a node that the test has killed.
const killedByTest = "killed by the test"

// ExitKilled is the status with which a node exits that is being killed and has
// coverage to write: what a shell makes of SIGKILL.
const ExitKilled = 137

// exitTime bounds the wait for a node that is asked to exit rather than killed.
const exitTime = 2 * time.Second

// exitNow has a process exit where it is, since a killed one writes no coverage.
// No deferred function and no cleanup runs: for everybody else it is as if it had
// been killed, a few milliseconds later. A process that cannot hear is left to be
// killed.
func (n *binaryNode) exitNow(p engine.Node) {
	if n.lives.Paused() || !engine.Alive(p) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), exitTime)
	defer cancel()
	if _, err := p.Conn().Call(ctx, MethodExit, nil); ctx.Err() != nil || err == nil {
		return
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
	}
}

// killed is how a process ended for those who need not know of coverage.
func killed(exit diagnostics.Exit, reason string) diagnostics.Exit {
	if reason == killedByTest && exit.Code == ExitKilled {
		return diagnostics.Exit{Code: -1, Signal: "killed"}
	}
	return exit
}

// counted are the ids of the processes that have written their coverage into a
// directory. none is whether nobody has written even what there is to count.
func counted(dir string) (pids map[string]bool, none bool) {
	pids, none = make(map[string]bool), true
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		// covmeta.HASH and covcounters.HASH.PID.NANOSECONDS, see internal/coverage of
		// Go.
		parts := strings.Split(e.Name(), ".")
		if parts[0] == "covmeta" {
			none = false
		}
		if len(parts) == 4 && parts[0] == "covcounters" {
			pids[parts[2]] = true
		}
	}
	return pids, none
}

// uncounted tells of the processes of a cluster that have ended without writing
// their coverage.
func (c *binaryCluster) uncounted() []string {
	if c.request.CoverDir == "" {
		return nil
	}
	pids, none := counted(c.request.CoverDir)
	var notes []string
	for _, n := range c.nodes {
		for _, p := range append(n.lives.Past(), n.process()) {
			if p != nil && !engine.Alive(p) && !pids[strconv.Itoa(p.PID())] {
				exit := p.Exit()
				if none && exit.Code == 0 { // its package has no statements
					return nil
				}
				notes = append(notes, fmt.Sprintf("coverage of %s (pid %d) is lost: a process writes it when it exits by itself, and this one ended by %v", n.name, p.PID(), &exit))
			}
		}
	}
	return notes
}

// covering are the processes of a program's cluster that have coverage to write.
func (c *programCluster) covering() []covering {
	p := c.request.Config.Programs[c.request.Requirement.Program]
	if c.request.CoverDir == "" || p == nil || p.Package == "" {
		return nil
	}
	var all []covering
	for i, n := range c.info.Nodes {
		all = append(all, covering{n.Name, n.PID})
		if now := c.Nodes[i].PID(); now != n.PID { // it was restarted
			all = append(all, covering{n.Name, now})
		}
	}
	return all
}

// uncovered tells of the nodes of a cluster that was up already, which nobody has
// built for coverage.
func (c *programCluster) uncovered() []string {
	var notes []string
	for _, p := range c.covering() {
		notes = append(notes, fmt.Sprintf("coverage of %s (pid %d) is lost: cluster %s was up already, and is not built for coverage (dist down %s)", p.node, p.pid, c.ID, c.ID))
	}
	return notes
}

// covering is a process that has coverage to write.
type covering struct {
	node string
	pid  int
}

// uncounted tells of those that have ended without.
func (c *programCluster) uncounted(all []covering) []string {
	if len(all) == 0 {
		return nil
	}
	pids, _ := counted(c.request.CoverDir)
	var notes []string
	for _, p := range all {
		if !pids[strconv.Itoa(p.pid)] {
			notes = append(notes, fmt.Sprintf("coverage of %s (pid %d) is lost: %s writes it when main returns or os.Exit is called, not when a signal ends it", p.node, p.pid, c.info.Program))
		}
	}
	return notes
}

// unprofiled tells of the processes of a cluster that have ended without writing
// the profiles that were wanted.
func (c *binaryCluster) unprofiled() []string {
	if !c.request.Profiled {
		return nil
	}
	var notes []string
	for _, n := range c.nodes {
		for _, p := range append(n.lives.Past(), n.process()) {
			if p == nil || engine.Alive(p) {
				continue
			}
			if exit := p.Exit(); exit.Code != 0 && exit.Code != raceExit {
				notes = append(notes, fmt.Sprintf("profiles of %s (pid %d) are lost: they are written when its lease ends, or when it is stopped, and it has ended by %v", n.name, p.PID(), &exit))
			}
		}
	}
	return notes
}
