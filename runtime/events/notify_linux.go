package events

import (
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An inotify is a notifier. Its goroutine sleeps as long as nothing is printed.
type inotify struct {
	f *os.File
}

// notifyPause is how long writes are collected before files are read: a node that
// prints a lot must not have the test process do nothing else.
const notifyPause = time.Millisecond

func newNotifier(grown func(watches map[int]bool)) notifier {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil // there are too many in use: the files are read in the end
	}
	n := &inotify{os.NewFile(uintptr(fd), "inotify")}
	go func() {
		var buf [4096]byte
		watches := make(map[int]bool)
		for {
			size, err := n.f.Read(buf[:])
			if err != nil {
				return
			}
			for at := 0; at+unix.SizeofInotifyEvent <= size; {
				watches[int(int32(binary.NativeEndian.Uint32(buf[at:])))] = true
				at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:])) // its name
			}
			grown(watches)
			clear(watches)
			time.Sleep(notifyPause)
		}
	}()
	return n
}

func (n *inotify) add(name string) int {
	wd := -1
	n.control(func(fd int) { wd, _ = unix.InotifyAddWatch(fd, name, unix.IN_MODIFY) })
	return wd
}

func (n *inotify) remove(watch int) {
	if watch >= 0 {
		n.control(func(fd int) { unix.InotifyRmWatch(fd, uint32(watch)) })
	}
}

// control runs a function with the descriptor, if it is still open.
func (n *inotify) control(f func(fd int)) {
	if c, err := n.f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { f(int(fd)) })
	}
}

func (n *inotify) close() { n.f.Close() }
