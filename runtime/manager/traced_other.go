//go:build !linux

package manager

func traced(int) (tracer int, stopped bool) { return -1, false }
