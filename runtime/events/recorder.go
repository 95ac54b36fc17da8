package events

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// MaxBytes is how large a file becomes.
const MaxBytes = 32 << 20

// A layout divides a file. Lines are written from its beginning on: first all
// of them, in the head; then those of which there are not many, in the reserve;
// and the others in two halves in turn, of which the older one is emptied when
// the newer one is full. So the file has the beginning of the run, its latest
// events, and everything that decides over a failure.
type layout struct{ head, reserve, half int64 }

var wholeLayout = layout{head: MaxBytes / 2, reserve: MaxBytes / 4, half: MaxBytes / 8}

func (l layout) size() int64 { return l.head + l.reserve + 2*l.half }

// A part is a range of the file that is written from its beginning on.
type part struct {
	from, at, to int64
	lines        int
}

func (p *part) fits(n int) bool { return p.at+int64(n)+1 <= p.to } // and a newline before it

// A Recorder writes events to a file, and before it has one keeps them. A nil
// Recorder records nothing. It is safe for concurrent use.
type Recorder struct {
	start  time.Time
	layout layout

	mu      sync.Mutex
	line    []byte // the one that is being written
	early   []byte // lines from before there was a file
	file    file   // nil: there is none yet, or no more
	name    string
	closed  bool  // nothing is recorded any more
	err     error // why the file has ended early
	head    part
	reserve part
	halves  [2]part
	newer   int
	dropped int
	ids     uint64
}

// A file is where lines are kept, by offset.
type file interface {
	// grow makes room up to an offset, from another one that it had room up to.
	grow(from, to int64) error
	// put writes where there is room.
	put(at int64, b []byte) error
	// close gives the file its final size.
	close(size int64) error
}

// New returns a Recorder of a run that begins now. h says what of: all but the
// fields that this process has itself.
func New(h Header) *Recorder { return newRecorder(h, wholeLayout) }

func newRecorder(h Header, l layout) *Recorder {
	r := &Recorder{start: time.Now(), layout: l, line: make([]byte, 0, 512), early: make([]byte, 0, 8<<10)}
	h.Schema, h.Start, h.PID = Schema, r.start, os.Getpid()
	h.Go, h.OS, h.Arch, h.CPUs = runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU()
	if h.Run == "" {
		h.Run = newID()
	}
	if len(h.Args) > maxMany {
		h.Args = h.Args[:maxMany]
	}
	r.early = append(r.early, h.line()...)
	r.head.to = l.head
	r.reserve = part{from: l.head, at: l.head, to: l.head + l.reserve}
	for i := range r.halves {
		from := l.head + l.reserve + int64(i)*l.half
		r.halves[i] = part{from: from, at: from, to: from + l.half}
	}
	return r
}

func newID() string {
	var b [5]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// Since is when a time was, as events have it.
func (r *Recorder) Since(t time.Time) time.Duration {
	if r == nil {
		return 0
	}
	return t.Sub(r.start)
}

// Now is the time, as events have it.
func (r *Recorder) Now() time.Duration {
	if r == nil {
		return 0
	}
	return time.Since(r.start)
}

// ID returns a number that no other event has.
func (r *Recorder) ID() uint64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	return r.ids
}

// Add records an event. One without At is of now.
func (r *Recorder) Add(e Event) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if e.At == 0 {
		e.At = max(time.Since(r.start), 1)
	}
	r.line = e.append(r.line[:0])
	r.write(r.line, e.Kind.frequent())
}

// maxEarly is how much is kept while there is no file.
const maxEarly = 4 << 20

// write adds a line. r.mu is held.
func (r *Recorder) write(line []byte, frequent bool) {
	if r.file == nil {
		if r.closed { // it has just failed
			return
		}
		if len(r.early)+len(line) > maxEarly {
			r.dropped++
			return
		}
		r.early = append(r.early, line...)
		return
	}
	switch {
	case r.head.fits(len(line)):
		r.put(&r.head, line)
	case !frequent && r.reserve.fits(len(line)):
		r.head.to = r.head.at // what is shorter must not come before what did not fit
		r.put(&r.reserve, line)
	default:
		r.head.to = r.head.at
		h := &r.halves[r.newer]
		if !h.fits(len(line)) {
			r.newer = 1 - r.newer
			if h = &r.halves[r.newer]; h.at > h.from {
				if r.clear(h); r.file == nil { // it has failed
					return
				}
			}
		}
		r.put(h, line)
	}
}

// window is how much room is made at a time: the first is often all that it takes.
const window = 256 << 10

// put adds a line to a part that it fits into.
func (r *Recorder) put(p *part, line []byte) {
	if p.at == p.from && p.from > 0 { // what has not been written before it is a line of its own
		line = append([]byte{'\n'}, line...)
	}
	if err := r.room(p, int64(len(line))); err != nil {
		r.fail(err)
		return
	}
	if err := r.file.put(p.at, line); err != nil {
		r.fail(err)
		return
	}
	p.at += int64(len(line))
	p.lines++
}

// room makes room for n more bytes. Windows are of the file, and not of parts.
func (r *Recorder) room(p *part, n int64) error {
	if p.at > p.from && (p.at-1)/window == (p.at+n-1)/window {
		return nil
	}
	from := p.at / window * window
	return r.file.grow(from, min((p.at+n+window-1)/window*window, r.layout.size()))
}

// clear empties a half, and notes how many lines are gone.
func (r *Recorder) clear(h *part) {
	zeros := make([]byte, window)
	for at := h.from; at < h.at; at += window {
		if err := r.file.put(at, zeros[:min(window, h.at-at)]); err != nil {
			r.fail(err)
			return
		}
	}
	r.dropped += h.lines
	h.at, h.lines = h.from, 0
	e := Event{At: time.Since(r.start), Kind: Dropped, Size: r.dropped, What: "call, call.done, barrier, log, print"}
	r.put(h, e.append(nil))
	h.lines = 0
}

// fail ends the recording: a test never fails for it. r.mu is held.
func (r *Recorder) fail(err error) {
	if r.file == nil {
		return
	}
	r.err = fmt.Errorf("record events: %w", err)
	r.finish()
}

// finish gives the file its size. r.mu is held.
func (r *Recorder) finish() error {
	r.closed = true
	if r.file == nil {
		return nil
	}
	end := r.head.at
	for _, p := range []part{r.reserve, r.halves[0], r.halves[1]} {
		if p.at > p.from {
			end = p.at
		}
	}
	err := r.file.close(end)
	r.file = nil
	return err
}

// Open has what is recorded, from the beginning on, written to a new file. Its
// error also is Err's, and nothing is recorded any more.
func (r *Recorder) Open(name string) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.file != nil {
		return r.err
	}
	f, err := create(name, r.layout.size())
	if err != nil {
		r.closed, r.early = true, nil
		r.err = fmt.Errorf("record events: %w", err)
		return r.err
	}
	r.file, r.name = f, name
	early := r.early
	r.early = nil
	for line := range bytes.Lines(early) {
		r.write(line, true)
	}
	if r.dropped > 0 && r.file != nil {
		e := Event{At: time.Since(r.start), Kind: Dropped, Size: r.dropped, What: "those before there was a file"}
		r.write(e.append(nil), false)
	}
	return r.err
}

// File is the file's name; "" as long as there is none.
func (r *Recorder) File() string {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.name
}

// Err is why nothing is recorded any more, before Close: the disk is full.
func (r *Recorder) Err() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close ends the recording. The file stays.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.err
	}
	gaps := r.reserve.at > r.reserve.from || r.halves[0].at > r.halves[0].from
	err := r.finish()
	if err == nil && gaps {
		err = pack(r.name)
	}
	return err
}

// pack has a file consist of lines alone.
func pack(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	packed := b[:0]
	for line := range bytes.Lines(b) {
		if line = bytes.TrimLeft(line, "\x00"); len(line) > 1 {
			packed = append(packed, line...)
		}
	}
	temp := name + ".new"
	if err := os.WriteFile(temp, packed, 0o600); err != nil {
		os.Remove(temp)
		return err
	}
	return os.Rename(temp, name)
}
