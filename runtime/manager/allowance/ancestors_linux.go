package allowance

import (
	"os"

	"github.com/distkit/dist/runtime/procstat"
)

// ancestors are the processes above this one.
func ancestors() map[int]bool {
	above := make(map[int]bool)
	for pid := os.Getppid(); pid > 1 && !above[pid]; {
		above[pid] = true
		s, ok := procstat.Of(pid)
		if !ok {
			break
		}
		pid = s.PPID
	}
	return above
}
