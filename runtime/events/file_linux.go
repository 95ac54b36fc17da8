package events

import (
	"os"

	"golang.org/x/sys/unix"
)

// A mapped file is written by copying into it: what is there when the process is
// killed stays, and nobody has been asked.
type mapped struct {
	f *os.File
	b []byte
}

// create makes a file. Where its file system cannot promise room, writing into
// the map could end the process by SIGBUS on a full disk: it is written by
// system calls then.
func create(name string, most int64) (file, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := allocate(f, 0, window); err {
	case nil:
		b, err := unix.Mmap(int(f.Fd()), 0, int(most), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return written{f}, nil
		}
		return &mapped{f, b}, nil
	case unix.EOPNOTSUPP, unix.ENOSYS:
		return written{f}, nil
	default:
		f.Close()
		os.Remove(name)
		return nil, &os.PathError{Op: "write", Path: name, Err: err}
	}
}

// allocate promises room. Some file systems are interrupted by any signal, as the
// runtime sends them to itself.
func allocate(f *os.File, from, to int64) error {
	for {
		if err := unix.Fallocate(int(f.Fd()), 0, from, to-from); err != unix.EINTR {
			return err
		}
	}
}

func (m *mapped) grow(from, to int64) error {
	if err := allocate(m.f, from, to); err != nil {
		return &os.PathError{Op: "write", Path: m.f.Name(), Err: err}
	}
	return nil
}

func (m *mapped) put(at int64, b []byte) error {
	copy(m.b[at:], b)
	return nil
}

func (m *mapped) close(size int64) error {
	err := unix.Munmap(m.b)
	if e := m.f.Truncate(size); err == nil {
		err = e
	}
	if e := m.f.Close(); err == nil {
		err = e
	}
	return err
}
