//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "torture: it needs /proc and pidfds to know its own processes, and this is %s\n", runtime.GOOS)
	os.Exit(2)
}
