// Package observed is what the tests of package dist look into: what ran where,
// by coverage, races, profiles and a debugger.
package observed

import (
	"syscall"
	"time"
)

// Each runs on nodes alone, in one test alone, on nodes that end in their own way.

func Retired(n int) int {
	return n + 1
}

func Stopped(n int) int {
	return n + 2
}

func Restarted(n int) int {
	return n + 3
}

func Killed(n int) int {
	return n + 4
}

func KilledPaused(n int) int {
	return n + 5
}

func Crashed(n int) int {
	return n + 6
}

func Reused(n int) int {
	return n + 7
}

// Served is the program's.
func Served(n int) int {
	return n + 8
}

// Spin takes d of a processor's time, however long others have it in between.
func Spin(d time.Duration) (n int) {
	for begin := taken(); taken()-begin < d; n++ {
	}
	return n
}

// taken is how much of a processor's time this process has had.
func taken() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var shared int

// Race races with itself.
func Race() {
	done := make(chan bool)
	go func() { shared++; close(done) }()
	shared++
	<-done
}
