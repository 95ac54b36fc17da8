//go:build unix

package forkexec

import "golang.org/x/sys/unix"

// beyondLimit reports whether the child may have needed a number that it could
// not have. Package syscall copies to the numbers after the highest that it is
// given: first the pipe on which the child tells its error, then what is in the
// way of others. What it was given that is not known here, such as the pipes of
// os/exec, had the lowest numbers that were free.
func beyondLimit(descriptors int, given []int) bool {
	highest := descriptors
	for _, fd := range given {
		if !isOpen(fd) {
			return false
		}
		highest = max(highest, fd)
	}
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return false
	}
	limit := int(min(uint64(r.Cur), 1<<30))
	needed := 1 + descriptors
	if highest+needed >= limit {
		return true
	}
	if len(given) == descriptors {
		return false
	}
	for fd := limit - 1; fd >= max(limit-needed, 0); fd-- {
		if isOpen(fd) {
			return true
		}
	}
	return false
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}
