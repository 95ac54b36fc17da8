//go:build unix

package suite

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// frames is the least that can carry concurrent calls over one stream: a
// header of length and id, a goroutine for each request on the far side, a
// table of who waits on the near side. No methods, contexts, deadlines, errors
// or limits. It is what a call is measured against.
type frames struct {
	conn net.Conn
	w    sync.Mutex

	next    atomic.Uint64
	mu      sync.Mutex
	waiting map[uint64]chan []byte
}

func newFrames(f *os.File) (*frames, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return &frames{conn: conn, waiting: make(map[uint64]chan []byte)}, nil
}

func (f *frames) send(id uint64, body []byte) error {
	head := binary.BigEndian.AppendUint32(make([]byte, 0, 12+min(len(body), 4096)), uint32(len(body)))
	head = binary.BigEndian.AppendUint64(head, id)
	f.w.Lock()
	defer f.w.Unlock()
	if len(body) <= 4096 {
		_, err := f.conn.Write(append(head, body...))
		return err
	}
	buffers := net.Buffers{head, body}
	_, err := buffers.WriteTo(f.conn)
	return err
}

func (f *frames) receive(each func(id uint64, body []byte)) error {
	r := bufio.NewReaderSize(f.conn, 64<<10)
	var head [12]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		each(binary.BigEndian.Uint64(head[4:]), body)
	}
}

// call is one round trip.
func (f *frames) call(body []byte) []byte {
	id, answer := f.next.Add(1), make(chan []byte, 1)
	f.mu.Lock()
	f.waiting[id] = answer
	f.mu.Unlock()
	if f.send(id, body) != nil {
		return nil
	}
	return <-answer
}

// collect hands answers to those who wait, until the stream ends.
func (f *frames) collect() {
	f.receive(func(id uint64, body []byte) {
		f.mu.Lock()
		answer := f.waiting[id]
		delete(f.waiting, id)
		f.mu.Unlock()
		answer <- body
	})
}

// serve sends every request back, each from a goroutine of its own.
func (f *frames) serve() {
	f.receive(func(id uint64, body []byte) { go f.send(id, body) })
}

// startFrames starts a process of this binary that answers frames.
func startFrames() (f *frames, stop func(), err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	syscall.CloseOnExec(pair[0])
	syscall.CloseOnExec(pair[1])
	ours, theirs := os.NewFile(uintptr(pair[0]), "frames"), os.NewFile(uintptr(pair[1]), "frames")
	defer theirs.Close()
	p, err := startSelf(Job{Kind: Frames}, nil, theirs)
	if err != nil {
		ours.Close()
		return nil, nil, err
	}
	stop = func() {
		p.Kill()
		p.Wait()
	}
	f, err = newFrames(ours)
	if err != nil {
		stop()
		return nil, nil, err
	}
	go f.collect()
	return f, stop, nil
}
