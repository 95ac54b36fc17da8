package events

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Logs records what nodes print into their log files, a line an event, at the
// time at which it is seen. Nodes write their files themselves and know nothing
// of this. A nil Logs records nothing. It is safe for concurrent use.
type Logs struct {
	r *Recorder

	mu     sync.Mutex
	files  map[string]*logFile
	notify notifier // nil: files are read when they are finished
	opened bool
	dirs   map[string]int // the notifier's watches, which a lease need not wait for
}

// A logFile is one that is followed.
type logFile struct {
	name       string
	test, node string
	f          *os.File

	mu   sync.Mutex
	at   int64
	rest []byte // a line that has no end yet
	skip bool   // the rest of a line that was cut
}

// Bounds of what is read at a time, and of a line that has no end.
const (
	readSize = 64 << 10
	maxRest  = maxLong
)

// NewLogs returns Logs that have r record.
func NewLogs(r *Recorder) *Logs {
	if r == nil {
		return nil
	}
	return &Logs{r: r, files: make(map[string]*logFile), dirs: make(map[string]int)}
}

// Follow has a file recorded from its beginning or, if it is followed already,
// as another node's from now on.
func (l *Logs) Follow(name, test, node string) {
	if l == nil || name == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.files[name]; f != nil {
		f.mu.Lock()
		f.test, f.node = test, node
		f.mu.Unlock()
		return
	}
	f := &logFile{name: name, test: test, node: node}
	l.files[name] = f
	if l.opened {
		l.watch(f)
	}
}

// Watch begins to look at the files as they grow, if the system tells of it. What
// they have by then is recorded now.
func (l *Logs) Watch() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened {
		return
	}
	l.opened = true
	l.notify = newNotifier(l.grown)
	for _, f := range l.files {
		l.watch(f)
	}
}

// watch has a file watched. l.mu is held.
func (l *Logs) watch(f *logFile) {
	if l.notify == nil {
		return
	}
	dir := filepath.Dir(f.name)
	if _, watched := l.dirs[dir]; !watched {
		l.dirs[dir] = l.notify.add(dir)
	}
	if info, err := os.Stat(f.name); err == nil && info.Size() > 0 {
		go l.read(f) // what it has already
	}
}

// grown is told by the notifier that files have been written to.
func (l *Logs) grown(changes map[change]bool) {
	if changes[lost] {
		l.Sync()
		return
	}
	l.mu.Lock()
	var files []*logFile
	for dir, watch := range l.dirs {
		for c := range changes {
			if c.watch == watch {
				if f := l.files[filepath.Join(dir, c.name)]; f != nil {
					files = append(files, f)
				}
			}
		}
	}
	l.mu.Unlock()
	for _, f := range files {
		l.read(f)
	}
}

// Finish records what a file has, and follows it no longer.
func (l *Logs) Finish(name string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	f := l.files[name]
	delete(l.files, name)
	l.mu.Unlock()
	if f == nil {
		return
	}
	l.read(f)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.rest) > 0 {
		l.line(f, f.rest)
		f.rest = nil
	}
	if f.f != nil {
		f.f.Close()
	}
	f.at = -1
}

// Sync records what the files have that are followed.
func (l *Logs) Sync() {
	if l == nil {
		return
	}
	l.mu.Lock()
	var files []*logFile
	for _, f := range l.files {
		files = append(files, f)
	}
	l.mu.Unlock()
	for _, f := range files {
		l.read(f)
	}
}

// Close ends it. Files that are still followed are finished.
func (l *Logs) Close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	var names []string
	for name := range l.files {
		names = append(names, name)
	}
	n := l.notify
	l.mu.Unlock()
	for _, name := range names {
		l.Finish(name)
	}
	if n != nil {
		n.close()
	}
}

var buffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// mostAtOnce bounds what of a log is recorded from one reading: of one that grows
// faster than it is read, the middle is left out.
const mostAtOnce = 4 << 20

func (l *Logs) read(f *logFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at < 0 { // finished
		return
	}
	if f.f == nil {
		file, err := os.Open(f.name)
		if err != nil {
			return
		}
		f.f = file
	}
	buf := buffers.Get().(*[readSize]byte)
	defer buffers.Put(buf)
	if info, err := f.f.Stat(); err == nil {
		if info.Size() < f.at { // it was emptied
			f.at, f.rest, f.skip = 0, nil, false
		}
		if info.Size()-f.at > mostAtOnce {
			f.at, f.rest, f.skip = info.Size()-mostAtOnce, nil, true
		}
	}
	for {
		n, err := f.f.ReadAt(buf[:], f.at)
		f.at += int64(n)
		l.lines(f, buf[:n])
		if err != nil && err != io.EOF || n < len(buf) {
			return
		}
	}
}

// lines records the lines that end in b, and keeps the rest.
func (l *Logs) lines(f *logFile, b []byte) {
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		b = rest
		if f.skip {
			f.skip = !ended
			continue
		}
		if len(f.rest) > 0 || !ended {
			f.rest = append(f.rest, line[:min(len(line), maxRest)]...)
			if ended || len(f.rest) >= maxRest {
				l.line(f, f.rest)
				f.rest, f.skip = f.rest[:0], !ended
			}
			continue
		}
		l.line(f, line)
	}
}

func (l *Logs) line(f *logFile, line []byte) {
	line = bytes.TrimRight(line[:min(len(line), maxRest)], "\r")
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	l.r.Add(Event{Kind: Log, Test: f.test, Node: f.node, Text: string(line)})
}

// A notifier tells of files that have been written to.
type notifier interface {
	add(dir string) (watch int) // of the files in it; -1: it cannot be had
	close()
}

// A change is that of a file in a directory that is watched.
type change struct {
	watch int
	name  string
}

// lost stands for changes that were too many to be told.
var lost = change{watch: -1}
