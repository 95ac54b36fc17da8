package namespaces

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/network"
)

// A request is what the switch is asked for, one at a time.
type request struct {
	Op   string
	Node int `json:",omitempty"`

	Addrs   []netip.Addr `json:",omitempty"` // opSetUp: of the nodes,
	Bridged bool         `json:",omitempty"` // as on a kernel without macvlan

	Path string   `json:",omitempty"` // opStart: of the executable,
	Args []string `json:",omitempty"` // with its name,
	Dir  string   `json:",omitempty"`
	Env  []string `json:",omitempty"` // and its descriptors

	Type int  `json:",omitempty"` // opSocket, opBound: SOCK_STREAM
	Port int  `json:",omitempty"` // opBound,
	Held bool `json:",omitempty"` // and whether connections are let through by us only

	Shapes []shape `json:",omitempty"` // opShape

	Changes []change `json:",omitempty"` // the others
	Ports   []uint16 `json:",omitempty"` // opReset: that nodes listen on
}

// A change is what happens to one direction.
type change struct {
	From, To int
	Cut      bool
}

// A shape is how what one node sends another arrives. Whether the direction is cut
// is another matter.
type shape struct {
	From, To  int
	Condition network.Condition
}

const (
	opSetUp    = "set up"
	opStart    = "start"     // a process in a node's network, as a child of the caller
	opSocket   = "socket"    // made in a node's network
	opBound    = "bind"      // one to a port of 127.0.0.1
	opCut      = "cut"       // directions, or no longer
	opHeld     = "held"      // how many connections between nodes wait for an acknowledgement,
	opWaiting  = "waiting"   // and how many of them still do so
	opReset    = "reset"     // the connections between nodes
	opTryNetem = "try netem" // whether anything can be shaped
	opShape    = "shape"     // what is sent in directions
	opUnder    = "under"     // in how many of them something is under way that was sent before
	opUnshape  = "unshape"   // directions, at once
)

// A reply is the switch's answer.
type reply struct {
	PID   int    `json:",omitempty"`
	Count int    `json:",omitempty"`
	Errno int    `json:",omitempty"`
	Err   string `json:",omitempty"`
}

func (r *reply) fail(err error) {
	r.Err = err.Error()
	if errno := unix.Errno(0); errors.As(err, &errno) {
		r.Errno = int(errno)
	}
}

// err is the error as this side has it: the text of the switch, and what
// errors.Is can tell of it.
func (r *reply) err() error {
	if r.Err == "" {
		return nil
	}
	if errno := unix.Errno(r.Errno); errno != 0 {
		if r.Err == errno.Error() {
			return errno
		}
		return remoteError{r.Err, errno}
	}
	return errors.New(r.Err)
}

type remoteError struct {
	text  string
	errno unix.Errno
}

func (e remoteError) Error() string { return e.text }
func (e remoteError) Unwrap() error { return e.errno }

const (
	maxMessage     = 64 << 20 // bytes: an environment can be large
	maxDescriptors = 64
)

// send sends a message, with descriptors.
func send(fd int, message any, descriptors ...int) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(descriptors) > maxDescriptors {
		return fmt.Errorf("%d descriptors are too many", len(descriptors))
	}
	var oob []byte
	if len(descriptors) > 0 {
		oob = unix.UnixRights(descriptors...)
	}
	b := append(binary.NativeEndian.AppendUint32(nil, uint32(len(body))), body...)
	for len(b) > 0 {
		n, err := unix.SendmsgN(fd, b, oob, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("sendmsg", err)
		}
		b, oob = b[n:], nil
	}
	return nil
}

// receive is the other end of send. It returns io.EOF when nobody is there to
// send any more.
func receive(fd int, message any) (descriptors []int, err error) {
	defer func() {
		if err != nil {
			closeAll(descriptors)
		}
	}()
	head := make([]byte, 4)
	oob := make([]byte, unix.CmsgSpace(4*maxDescriptors))
	for done := 0; done < len(head); {
		n, oobn, _, _, err := unix.Recvmsg(fd, head[done:], oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return descriptors, os.NewSyscallError("recvmsg", err)
		case n == 0:
			return descriptors, io.EOF
		}
		done += n
		if oobn == 0 {
			continue
		}
		controls, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return descriptors, err
		}
		for i := range controls {
			if fds, err := unix.ParseUnixRights(&controls[i]); err == nil {
				descriptors = append(descriptors, fds...)
			}
		}
	}
	size := binary.NativeEndian.Uint32(head)
	if size > maxMessage {
		return descriptors, fmt.Errorf("a message of %d bytes", size)
	}
	body := make([]byte, size)
	for done := 0; done < len(body); {
		n, err := unix.Read(fd, body[done:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return descriptors, os.NewSyscallError("read", err)
		case n == 0:
			return descriptors, io.ErrUnexpectedEOF
		}
		done += n
	}
	return descriptors, json.Unmarshal(body, message)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
