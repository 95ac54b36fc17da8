package allowance

import (
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// lifeFile is where each process has one byte locked as long as it lives. Making
// a pipe can take as long as starting a node, where the disk is busy; this
// makes nothing. It is not the table: a lock of that is one of all its bytes on
// some file systems.
const lifeFile = "alive"

// claim locks this process's byte. It reports whether locks of that kind are to be
// had.
func (s *seat) claim() bool {
	fd, err := openRetry(filepath.Join(s.dir, lifeFile), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return false
	}
	lock := byteOf(s.id)
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &lock); err != nil {
		unix.Close(fd)
		return false
	}
	s.life = fd
	return true
}

// claimed reports whether the process with an id lives.
func (s *seat) claimed(id string) bool {
	lock := byteOf(id)
	err := unix.FcntlFlock(uintptr(s.life), unix.F_OFD_GETLK, &lock)
	return err != nil || lock.Type != unix.F_UNLCK
}

func byteOf(id string) unix.Flock_t {
	n, _ := strconv.ParseUint(id[len(idPrefix):], 16, 64)
	return unix.Flock_t{Type: unix.F_WRLCK, Start: int64(n >> 2), Len: 1}
}
