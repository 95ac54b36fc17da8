//go:build darwin || freebsd

package usersocket

import "golang.org/x/sys/unix"

// peerUser is whose process has the other end.
func peerUser(fd int) (int, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
