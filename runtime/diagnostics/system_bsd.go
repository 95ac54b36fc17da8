//go:build darwin || dragonfly || freebsd

package diagnostics

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

func mountOf(name string) (mount, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return mount{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return mount{
		point:    unix.ByteSliceToString(st.Mntonname[:]),
		fs:       unix.ByteSliceToString(st.Fstypename[:]),
		readOnly: uint64(st.Flags)&unix.MNT_RDONLY != 0,
		noExec:   uint64(st.Flags)&unix.MNT_NOEXEC != 0,
		free:     uint64(st.Bavail) * uint64(st.Bsize),
		size:     uint64(st.Blocks) * uint64(st.Bsize),
		inodes:   uint64(st.Files),
		noInodes: st.Files > 0 && st.Ffree == 0,
	}, nil
}
