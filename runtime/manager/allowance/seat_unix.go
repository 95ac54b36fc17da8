//go:build unix

package allowance

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A seat is this process's place in the directory that all share.
type seat struct {
	dir   string
	id    string
	pid   int
	table int           // the table's descriptor
	life  int           // descriptor of the file that tells who lives; -1: their pipes do
	pipe  *os.File      // others write into it to wake this process
	piped chan struct{} // closed when pipe is set, or cannot be
	buf   []byte
	in    bool // the table has a line of this process
}

// lockPatience is how long the table may be locked: it takes microseconds,
// unless whoever has it was stopped just then.
const lockPatience = 5 * time.Second

// lateTick is how often one that was locked for longer is looked at.
const lateTick = 100 * time.Millisecond

var errHeld = fmt.Errorf("another process has had it for %v, and does not go on", lockPatience)

// update locks the table, has f look at it and change what this process has and
// wants, and writes down what is different. a.mu is held.
func (a *Allowance) update(f func(*table)) error {
	if a.closed {
		return os.ErrClosed
	}
	if a.broken != nil {
		return a.broken
	}
	t, err := a.lock()
	if errors.Is(err, errHeld) {
		a.later()
	}
	if err != nil {
		return err
	}
	s := a.seat
	next, n := t.next, len(t.records)
	f(t)
	now := a.own(record{id: s.id, pid: s.pid})
	mine := t.find(s.id)
	dirty := mine == nil || *mine != now || t.next != next || len(t.records) != n
	if dirty {
		if mine != nil {
			*mine = now
		} else {
			t.records = append(t.records, now)
		}
		if err = s.write(t); err == nil {
			s.in = true
		}
	}
	s.unlock()
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(s.dir, tableFile), err)
	}
	if dirty {
		// Whoever is first in the queue looks whether this was what it needed.
		if head := t.ahead(ask{id: s.id, ticket: t.next}); head != nil {
			s.wake(head.id)
		}
	}
	return nil
}

// later has what the table is to say of this process written down when it can be
// again: whoever had it locked was stopped, and is believed to go on some day.
// Without it, others would wait for room that was given back meanwhile.
func (a *Allowance) later() {
	if a.late {
		return
	}
	a.late = true
	go func() {
		for held := true; held; {
			time.Sleep(lateTick)
			a.mu.Lock()
			// Whoever waited for it here would have tests wait for a.mu.
			if a.seat != nil {
				held = a.seat.held()
			} else {
				held = !a.closed && a.heldBefore()
			}
			if !held {
				a.late = false
				a.update(func(*table) {})
			}
			a.mu.Unlock()
		}
	}()
}

// heldBefore reports whether somebody has the table locked that this process has
// not joined yet.
func (a *Allowance) heldBefore() bool {
	dir, err := a.place()
	if err != nil {
		return false
	}
	fd, err := openRetry(filepath.Join(dir, tableFile), tableFlags)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return (&seat{table: fd}).held()
}

// lock locks and reads the table, and opens or mends it before where that is
// needed.
func (a *Allowance) lock() (*table, error) {
	for try := range 3 {
		if a.seat == nil {
			dir, err := a.place()
			if err == nil {
				a.seat, err = join(dir)
			}
			if errors.Is(err, fs.ErrNotExist) && try < 2 { // removed just now
				a.seat = nil
				continue
			}
			if err != nil {
				if a.seat = nil; !slices.ContainsFunc([]error{errHeld, unix.EMFILE, unix.ENFILE}, func(e error) bool { return errors.Is(err, e) }) {
					a.broken = err // for good; the others pass
				}
				return nil, err
			}
			a.seat.piped = make(chan struct{})
			go a.listen(a.seat)
		}
		s := a.seat
		if err := s.lock(); err != nil {
			return nil, err
		}
		if s.there() {
			t, whole, err := s.read()
			if err != nil {
				s.unlock()
				return nil, err
			}
			if !whole || s.in && t.find(s.id) == nil { // another table than we wrote
				s.rebuild(&t)
			}
			return &t, nil
		}
		// Somebody has removed our files: there may be others now.
		s.unlock()
		s.close()
		a.seat = nil
	}
	a.broken = errors.New("its files are removed again and again")
	return nil, a.broken
}

// join enters this process into the directory, and removes what dead ones
// have left there.
func join(dir string) (*seat, error) {
	s := &seat{dir: dir, pid: os.Getpid(), table: -1, life: -1}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *seat) open() (err error) {
	file := filepath.Join(s.dir, tableFile)
	for range 2 {
		if s.table, err = openRetry(file, tableFlags|unix.O_CREAT); err == nil {
			var st unix.Stat_t
			if err = unix.Fstat(s.table, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
				break
			}
			unix.Close(s.table)
			s.table = -1
			err = errNotRegular
		}
		if !slices.ContainsFunc([]error{errNotRegular, unix.ELOOP, unix.EISDIR, unix.ENXIO}, func(e error) bool { return err == e }) {
			break // no descriptor is left, or so: the table is that of all others
		}
		os.Remove(file) // a link, a directory, a pipe: nothing of ours
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	if err := s.lock(); err != nil {
		return err
	}
	defer s.unlock()
	var b [idDigits / 2]byte
	rand.Read(b[:])
	s.id = idPrefix + hex.EncodeToString(b[:])
	if !s.claim() {
		// Under the lock, since one that nobody reads is that of a dead process.
		if err := s.makePipe(); err != nil {
			return err
		}
	}
	s.sweep()
	return nil
}

var errNotRegular = errors.New("not a regular file")

const tableFlags = unix.O_RDWR | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK

// openRetry opens a file for reading and writing by all of this user's processes.
func openRetry(file string, flags int) (fd int, err error) {
	for {
		if fd, err = unix.Open(file, flags, 0o600); err != unix.EINTR {
			return fd, err
		}
	}
}

func (s *seat) makePipe() error {
	path := filepath.Join(s.dir, s.id)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	// For writing too, or it would be at its end whenever nobody else has it open.
	pipe, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		os.Remove(path)
		return err
	}
	s.pipe = pipe
	return nil
}

func (s *seat) close() {
	if s.piped != nil {
		<-s.piped
	}
	if s.pipe != nil {
		os.Remove(filepath.Join(s.dir, s.id))
		s.pipe.Close()
	}
	for _, fd := range []int{s.table, s.life} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// Close gives back all that the process has.
func (a *Allowance) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.seat; s != nil {
		if t, err := a.lock(); err == nil {
			s = a.seat
			t.remove(s.id)
			s.write(t)
			s.unlock()
			if head := t.ahead(ask{id: s.id, ticket: t.next}); head != nil {
				s.wake(head.id)
			}
		}
		if a.seat != nil {
			a.seat.close()
		}
		a.seat = nil
	}
	a.closed = true
}

// listen waits for others to wake this process.
func (a *Allowance) listen(s *seat) {
	var err error
	made := s.pipe == nil
	if made {
		err = s.makePipe() // without one, others wait for the end of its leases
	}
	close(s.piped)
	if err != nil {
		return
	}
	if made {
		a.nudged() // somebody may have looked for it
	}
	b := make([]byte, 64)
	for {
		if _, err := s.pipe.Read(b); err != nil {
			return // closed
		}
		a.nudged()
	}
}

func (s *seat) lock() error {
	pause := 50 * time.Microsecond
	for begin := time.Now(); ; {
		err := unix.Flock(s.table, unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case err == unix.EINTR:
			continue
		case err != unix.EWOULDBLOCK:
			return fmt.Errorf("lock %s: %w", filepath.Join(s.dir, tableFile), err)
		case time.Since(begin) > lockPatience:
			return fmt.Errorf("lock %s: %w", filepath.Join(s.dir, tableFile), errHeld)
		}
		time.Sleep(pause)
		pause = min(2*pause, 2*time.Millisecond)
	}
}

// held reports whether somebody has the table locked.
func (s *seat) held() bool {
	err := unix.Flock(s.table, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		s.unlock()
	}
	return err == unix.EWOULDBLOCK
}

func (s *seat) unlock() { unix.Flock(s.table, unix.LOCK_UN) }

// there reports whether the files are still those that others open.
func (s *seat) there() bool {
	for _, fd := range []int{s.table, s.life} {
		var st unix.Stat_t
		if fd >= 0 && unix.Fstat(fd, &st) == nil && st.Nlink == 0 {
			return false
		}
	}
	return true
}

func (s *seat) read() (t table, whole bool, err error) {
	if s.buf == nil {
		s.buf = make([]byte, 4096)
	}
	for n := 0; ; {
		m, err := unix.Pread(s.table, s.buf[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return t, false, fmt.Errorf("read %s: %w", filepath.Join(s.dir, tableFile), err)
		}
		n += m
		if m == 0 || n == mostBytes {
			t, whole = parse(s.buf[:n])
			return t, whole, nil
		}
		if n == len(s.buf) {
			s.buf = append(s.buf, make([]byte, n)...)
		}
	}
}

func (s *seat) write(t *table) error {
	b := t.format()
	for n := 0; n < len(b); {
		m, err := unix.Pwrite(s.table, b[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		n += m
	}
	return nil
}

// rebuild makes a table of what is left of one that somebody has cut or
// scribbled on, and has all processes say again what they have.
func (s *seat) rebuild(t *table) {
	unix.Ftruncate(s.table, 0)
	for _, id := range s.pipes() {
		if id != s.id {
			s.wake(id)
		}
	}
	t.drop(s.dead)
	s.write(t)
}

// prune drops the lines of dead processes, and reports whether there were any.
func (a *Allowance) prune(t *table) bool {
	gone := t.drop(a.seat.dead)
	for _, id := range gone {
		os.Remove(filepath.Join(a.seat.dir, id))
	}
	return len(gone) > 0
}

// sweep removes the pipes and lines of dead processes.
func (s *seat) sweep() {
	for _, id := range s.pipes() {
		if !s.alive(id) {
			os.Remove(filepath.Join(s.dir, id))
		}
	}
	t, whole, err := s.read()
	if err != nil || !whole {
		return // see rebuild
	}
	if len(t.drop(s.dead)) > 0 {
		s.write(&t)
	}
}

func (s *seat) pipes() (ids []string) {
	files, _ := os.ReadDir(s.dir)
	for _, f := range files {
		if isID(f.Name()) && f.Type()&fs.ModeNamedPipe != 0 {
			ids = append(ids, f.Name())
		}
	}
	return ids
}

// alive reports whether a process lives: it has its lock or, where there are no
// such locks, somebody reads its pipe.
func (s *seat) alive(id string) bool {
	if s.life >= 0 {
		return id == s.id || s.claimed(id)
	}
	fd, err := s.reach(id)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil || err != unix.ENXIO && err != unix.ENOENT && err != unix.ELOOP && err != errNoPipe
}

// dead reports whether another process is gone.
func (s *seat) dead(id string) bool { return id != s.id && !s.alive(id) }

// wake has a process look at the table.
func (s *seat) wake(id string) {
	if fd, err := s.reach(id); err == nil {
		unix.Write(fd, []byte{1}) // full: it has enough to read
		unix.Close(fd)
	}
}

var errNoPipe = errors.New("not a named pipe")

// reach opens the pipe of a process; ENXIO means that the process is dead.
func (s *seat) reach(id string) (fd int, err error) {
	for {
		fd, err = unix.Open(filepath.Join(s.dir, id), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		unix.Close(fd)
		return -1, errNoPipe
	}
	return fd, nil
}

// descends reports whether a process above this one has a cluster: a test that
// runs go test itself, say. It waits for us, so that we must not wait for it.
func (a *Allowance) descends(t *table) bool {
	above := ancestors()
	for _, r := range t.records {
		if r.id != a.seat.id && r.tests > 0 && above[r.pid] {
			return true
		}
	}
	return false
}
