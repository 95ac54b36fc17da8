//go:build !linux

package manager

// Elsewhere only the number of cores bounds a cluster.
func memory() (total uint64, source string) { return 0, "" }
func rlimitFiles() uint64                   { return 0 }
func rlimitProcesses() uint64               { return 0 }
func cgroupProcesses() uint64               { return 0 }
func freeMemory() (bytes uint64, ok bool)   { return 0, false }
