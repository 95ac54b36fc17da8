//go:build unix

package wire

func sysfd(fd uintptr) int { return int(fd) }
