package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A writer puts frames on the stream one after the other. It never keeps a
// caller longer than the caller's context: a peer that is stopped (SIGSTOP)
// does not read, and what the socket has not taken by then is written by a
// goroutine that holds the lock until it is through.
//
// Small frames of those who come while the lock is held are queued for the one
// who holds it, and go out in one write, as in grpc-go.
type writer struct {
	conn *Conn
	raw  syscall.RawConn // nil where the stream is not a plain socket
	lock chan struct{}

	mu    sync.Mutex
	held  bool  // somebody has the lock, and is going to look at the queue
	queue batch // empty unless held
	spare batch // to queue in while the queue is being written; empty
}

// A batch is frames that go out in one write.
type batch struct {
	frames  []byte
	one     func()   // called when they are written, or cannot be; or nil
	written []func() // likewise
}

// maxQueue is how many bytes are queued at most. Beyond it callers wait for the
// lock: a peer that does not read must not cost memory.
const maxQueue = 64 << 10

func (w *writer) init(c *Conn) {
	w.conn = c
	w.lock = make(chan struct{}, 1)
	if s, ok := c.rw.(syscall.Conn); ok {
		if _, plain := c.rw.(*net.UnixConn); plain {
			w.raw, _ = s.SyscallConn()
		}
	}
}

// frame writes head and body, or queues them: if they cannot be written then,
// the connection ends. head must have room for a small body behind it. Neither
// is read any more when frame has returned. written, if not nil, is called when
// the peer will have them, whatever becomes of this process, or never will.
func (w *writer) frame(ctx context.Context, head, body []byte, written func()) error {
	if w.conn.closed.Err() != nil { // the stream itself may take it for another moment
		batch{one: written}.done()
		return w.conn.closedError()
	}
	if len(body) <= cap(head)-len(head) {
		head, body = append(head, body...), nil
		if w.enqueue(head, written) {
			return nil
		}
	}
	b := batch{frames: head, one: written}
	select {
	case w.lock <- struct{}{}:
	case <-ctx.Done():
		b.done()
		if w.conn.closed.Err() != nil {
			return w.conn.closedError()
		}
		return ctx.Err()
	case <-w.conn.closed.Done():
		b.done()
		return w.conn.closedError()
	}
	w.mu.Lock()
	w.held = true
	w.mu.Unlock()
	queued := body == nil && w.conn.asking.Load()+w.conn.asked.Load() > 1
	if queued {
		runtime.Gosched() // the others may be about to write, too
		w.mu.Lock()
		w.queue.add(head, written)
		w.mu.Unlock()
	} else if done, err := w.send(ctx, b, body); done {
		return err
	}
	// Others have queued meanwhile. Once is enough to do for them.
	for range 2 {
		b := w.dequeue()
		if b.frames == nil {
			return nil
		}
		if done, err := w.send(ctx, b, nil); done {
			if queued {
				return err
			}
			return nil // it is not ours that is lost
		}
		queued = false
		w.recycle(b)
	}
	go w.flush()
	return nil
}

// enqueue reports whether the one who holds the lock is going to write a frame.
func (w *writer) enqueue(frame []byte, written func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held || len(w.queue.frames)+len(frame) > maxQueue {
		return false
	}
	w.queue.add(frame, written)
	return true
}

func (b *batch) add(frame []byte, written func()) {
	b.frames = append(b.frames, frame...)
	if written != nil {
		b.written = append(b.written, written)
	}
}

// dequeue returns what is queued, or unlocks and returns nothing.
func (w *writer) dequeue() batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue.frames) == 0 {
		w.held = false
		<-w.lock
		return batch{}
	}
	b := w.queue
	w.queue, w.spare = w.spare, batch{}
	return b
}

func (b batch) done() {
	if b.one != nil {
		b.one()
	}
	for _, f := range b.written {
		f()
	}
}

// recycle has a queue's memory used again.
func (w *writer) recycle(b batch) {
	clear(b.written)
	w.mu.Lock()
	w.spare = batch{frames: b.frames[:0], written: b.written[:0]}
	w.mu.Unlock()
}

// flush writes what is queued until nothing is, and unlocks.
func (w *writer) flush() {
	for {
		b := w.dequeue()
		if b.frames == nil {
			return
		}
		_, err := w.conn.rw.Write(b.frames)
		b.done()
		if err != nil {
			w.fail(err)
			return
		}
		w.recycle(b)
	}
}

// fail ends the connection, and unlocks. Where it is the peer that has ended it,
// what came from there before is still to be read: the answers to calls. The
// reader finds the end itself, or is interrupted.
func (w *writer) fail(err error) error {
	w.mu.Lock()
	b := w.queue
	w.held, w.queue = false, batch{}
	w.mu.Unlock()
	<-w.lock
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		w.conn.rw.SetReadDeadline(time.Now().Add(time.Second))
	} else {
		w.conn.shut(err)
	}
	b.done()
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// send writes a batch and a body, with the lock held. It is done, and the caller
// has no lock any more, if it has failed, or if ctx has ended: then a
// goroutine writes what is left.
func (w *writer) send(ctx context.Context, b batch, body []byte) (done bool, err error) {
	head := b.frames
	if len(body) == 0 {
		n, err := w.try(head)
		if err != nil {
			b.done()
			return true, w.fail(err)
		}
		if head = head[n:]; len(head) == 0 {
			b.done()
			return false, nil
		}
	}
	rw, rest := w.conn.rw, net.Buffers{head, body}
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
	switch {
	case err == nil:
		b.done()
		return false, nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		b.done()
		return true, w.fail(err)
	}
	for i, b := range rest {
		rest[i] = bytes.Clone(b)
	}
	go func() {
		_, err := rest.WriteTo(rw)
		b.done()
		if err != nil {
			w.fail(err)
			return
		}
		w.flush()
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
