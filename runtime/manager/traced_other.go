//go:build !linux

package manager

func traced(int) int { return -1 }
