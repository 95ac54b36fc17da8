package events

import (
	"bytes"
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

func newNotifier(grown func(map[change]bool)) notifier {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil // there are too many in use: the files are read in the end
	}
	n := &inotify{os.NewFile(uintptr(fd), "inotify")}
	go func() {
		var buf [4096]byte
		changes := make(map[change]bool)
		for {
			size, err := n.f.Read(buf[:])
			if err != nil {
				return
			}
			for at := 0; at+unix.SizeofInotifyEvent <= size; {
				name := at + unix.SizeofInotifyEvent
				end := name + int(binary.NativeEndian.Uint32(buf[at+12:]))
				changes[change{
					watch: int(int32(binary.NativeEndian.Uint32(buf[at:]))),
					name:  string(bytes.TrimRight(buf[name:end], "\x00")),
				}] = true
				at = end
			}
			grown(changes)
			clear(changes)
			time.Sleep(notifyPause)
		}
	}()
	return n
}

func (n *inotify) add(dir string) int {
	wd := -1
	if c, err := n.f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { wd, _ = unix.InotifyAddWatch(int(fd), dir, unix.IN_MODIFY|unix.IN_ONLYDIR) })
	}
	return wd
}

func (n *inotify) close() { n.f.Close() }
