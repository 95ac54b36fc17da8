package allowance

import (
	"os"
	"strconv"
	"strings"
)

// ancestors are the processes above this one.
func ancestors() map[int]bool {
	above := make(map[int]bool)
	for pid := os.Getppid(); pid > 1 && !above[pid]; {
		above[pid] = true
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			break
		}
		// After the name, which may hold anything: state, parent.
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(f) < 2 {
			break
		}
		pid, _ = strconv.Atoi(f[1])
	}
	return above
}
