//go:build unix

package diagnostics

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func whoAmI() string { return fmt.Sprintf("uid %d", os.Geteuid()) }

func ownerOf(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("uid %d", st.Uid)
	}
	return ""
}

// maxDescriptor bounds the search for open descriptors: a process may be
// allowed a billion.
const maxDescriptor = 1 << 16

// openDescriptors counts by asking for each number. That opens nothing, and so
// works when no descriptor is left, which is when the count is wanted.
func openDescriptors(ctx context.Context, most uint64) (open []int) {
	for fd := range int(min(most, maxDescriptor)) {
		if fd%1024 == 0 && ctx.Err() != nil {
			break
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open = append(open, fd)
		}
	}
	return open
}

// fileLimits measures what this process may open and has open.
func fileLimits(ctx context.Context) ([]Limit, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return nil, err
	}
	most := uint64(r.Cur)
	return []Limit{{Name: "RLIMIT_NOFILE", Of: "this process", Max: most, Used: uint64(len(openDescriptors(ctx, most)))}}, nil
}
