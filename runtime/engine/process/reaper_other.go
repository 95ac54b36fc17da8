//go:build unix && !linux

package process

// Without /proc a binary that was removed meanwhile cannot be started.
const shell = ""
