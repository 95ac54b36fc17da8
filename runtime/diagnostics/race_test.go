//go:build race

package diagnostics

import "testing"

func init() {
	children["race"] = func() {
		var n int
		done := make(chan bool)
		go func() { n++; done <- true }()
		n++
		<-done
		n++ // also reads, so that neither is optimized away
		println(n)
	}
}

// TestRace has the race detector end a process.
func TestRace(t *testing.T) {
	f := Failure{Phase: PhaseStop, Node: "node-1"}
	f.Exit, f.Log = exitOf(t, child(t, "race"))
	check(t, f, NodeRace, "by ")
}
