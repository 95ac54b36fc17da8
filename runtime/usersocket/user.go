package usersocket

import (
	"fmt"
	"net"
	"os"
	"runtime"
)

// Available tells whether there are such sockets: not on Windows, whose
// processes have no such user.
const Available = runtime.GOOS != "windows"

// CheckUser makes sure that the other end belongs to the same user.
func CheckUser(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var uid int
	if cerr := raw.Control(func(fd uintptr) { uid, err = peerUser(int(fd)) }); cerr != nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("find out whose process is at the other end: %w", err)
	}
	if uid != os.Geteuid() {
		return fmt.Errorf("the process at the other end is of another user (uid %d)", uid)
	}
	return nil
}
