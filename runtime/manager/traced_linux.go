package manager

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// traced returns the process that debugs another, 0 if none does, and -1 if that
// cannot be known.
func traced(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return -1
	}
	_, rest, _ := strings.Cut(string(b), "\nTracerPid:")
	line, _, _ := strings.Cut(rest, "\n")
	tracer, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return -1
	}
	return tracer
}
