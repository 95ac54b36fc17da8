// Package procstat reads what Linux tells of processes in /proc/PID/stat. The
// libraries for it read much more, and would be part of every test binary.
package procstat
