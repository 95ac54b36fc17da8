package wire

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// A writer puts frames on the stream one after the other. It never keeps a
// caller longer than the caller's context: a peer that is stopped (SIGSTOP)
// does not read, and what the socket has not taken by then is written by a
// goroutine that holds the lock until it is through.
type writer struct {
	conn *Conn
	raw  syscall.RawConn // nil where the stream is not a plain socket
	lock chan struct{}
}

func (w *writer) init(c *Conn) {
	w.conn = c
	w.lock = make(chan struct{}, 1)
	if s, ok := c.rw.(syscall.Conn); ok {
		if _, plain := c.rw.(*net.UnixConn); plain {
			w.raw, _ = s.SyscallConn()
		}
	}
}

// frame writes head and body. head must have room for a small body behind it.
// Neither is read any more when frame has returned.
func (w *writer) frame(ctx context.Context, head, body []byte) error {
	select {
	case w.lock <- struct{}{}:
	case <-ctx.Done():
		if w.conn.closed.Err() != nil {
			return w.conn.closedError()
		}
		return ctx.Err()
	case <-w.conn.closed.Done():
		return w.conn.closedError()
	}
	rest := net.Buffers{head, body}
	var err error
	if len(body) <= cap(head)-len(head) {
		head = append(head, body...)
		var n int
		n, err = w.try(head)
		rest = net.Buffers{head[n:]}
	}
	if err == nil && len(rest[0]) > 0 {
		var later bool
		if later, err = w.wait(ctx, rest); later {
			return nil
		}
	}
	<-w.lock
	if err != nil {
		w.conn.shut(err)
		return w.conn.closedError()
	}
	return nil
}

// wait writes what the socket may not take at once. If ctx ends meanwhile, what
// is left is copied, and written later by a goroutine, which unlocks.
func (w *writer) wait(ctx context.Context, rest net.Buffers) (later bool, err error) {
	rw := w.conn.rw
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		rw.SetWriteDeadline(time.Unix(1, 0))
	})
	_, err = rest.WriteTo(rw)
	if !stop() {
		<-interrupted
		rw.SetWriteDeadline(time.Time{})
	}
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false, err
	}
	for i, b := range rest {
		rest[i] = bytes.Clone(b)
	}
	go func() {
		defer func() { <-w.lock }()
		if _, err := rest.WriteTo(rw); err != nil {
			w.conn.shut(err)
		}
	}()
	return true, nil
}

// try writes what the socket takes without waiting.
func (w *writer) try(b []byte) (n int, err error) {
	if w.raw == nil {
		return 0, nil
	}
	cerr := w.raw.Write(func(fd uintptr) bool {
		for n < len(b) {
			var m int
			m, err = ignoringEINTR(func() (int, error) { return syscall.Write(sysfd(fd), b[n:]) })
			if m > 0 {
				n += m
			}
			if err == syscall.EAGAIN {
				err = nil
				return true
			}
			if err != nil {
				return true
			}
		}
		return true
	})
	if err == nil {
		err = cerr
	}
	return n, err
}

func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != syscall.EINTR {
			return n, err
		}
	}
}
