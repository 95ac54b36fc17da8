package manager

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// traced returns the process that debugs another, 0 if none does, and -1 if that
// cannot be known. stopped: all of its threads are held.
func traced(pid int) (tracer int, stopped bool) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	tracer, stopped = -1, len(files) > 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		stopped = stopped && strings.HasPrefix(statusLine(string(b), "State"), "t")
		if by, err := strconv.Atoi(statusLine(string(b), "TracerPid")); err == nil {
			tracer = max(tracer, by)
		}
	}
	return tracer, stopped
}

// statusLine is a line of a status file.
func statusLine(status, name string) string {
	_, rest, _ := strings.Cut(status, "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
