package artifacts

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/events"
)

// Runs beyond these are removed, the oldest first.
const (
	MaxRuns  = 20
	MaxBytes = 100 << 20 // over all runs
)

// recent is how old a run must be to be removed: its files have just been told
// of, and may be one of many packages' that have failed together.
const recent = time.Hour

// A Store has the files of one run. The zero Store keeps nothing. It is safe
// for concurrent use.
type Store struct {
	mu   sync.Mutex
	base string
	name string // of the run
	dir  string // "": not made yet
}

// Base is the directory below which runs have theirs: dir or, where that is "",
// one in the user's cache directory.
func Base(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for artifacts: %w; set dir in [artifacts] of distributed.toml", err)
	}
	return filepath.Join(cache, "dist", "artifacts"), nil
}

// Of sets where the files go that are yet to be written: below base, in a
// directory that is named after the package. It makes nothing.
func (s *Store) Of(base, pkg string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != base {
		s.base, s.name, s.dir = base, cmp.Or(fileName(pkg), "tests"), ""
	}
}

// Write adds a file to the run and returns its name. One that is there by that
// name is kept: the new one gets a number.
func (s *Store) Write(name string, data []byte) (string, error) {
	return s.write(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (s *Store) write(name string, write func(io.Writer) error) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base == "" {
		return "", fmt.Errorf("keep %s: nobody has said where", name)
	}
	if err := s.open(); err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	name = fileName(name)
	ext := filepath.Ext(name)
	for n := 1; ; n++ {
		file := filepath.Join(s.dir, name)
		if n > 1 {
			file = filepath.Join(s.dir, fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext))
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if os.IsExist(err) {
			continue
		}
		if err == nil {
			err = write(f)
			err = cmp.Or(err, f.Close())
		}
		if err != nil {
			return "", fmt.Errorf("keep %s: %w", name, err)
		}
		return file, nil
	}
}

// Replace writes a file of the run, in place of one that is there by that name.
func (s *Store) Replace(name string, data []byte) error {
	dir, err := s.Dir()
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName(name)), data, 0o600); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// Dir makes the run's directory, if it is not there, and returns its name.
func (s *Store) Dir() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base == "" {
		return "", errors.New("keep artifacts: nobody has said where")
	}
	if err := s.open(); err != nil {
		return "", fmt.Errorf("keep artifacts: %w", err)
	}
	return s.dir, nil
}

// open makes the run's directory if it is not there (it may have been removed
// by hand), and removes old ones.
func (s *Store) open() error {
	if s.dir != "" {
		if _, err := os.Stat(s.dir); err == nil {
			return nil
		}
	}
	if err := os.MkdirAll(s.base, 0o700); err != nil {
		return err
	}
	if crowded(s.base) {
		Prune(s.base)
	}
	dir, err := os.MkdirTemp(s.base, time.Now().Format(stamp)+"-"+s.name+"-")
	if err != nil {
		return err
	}
	s.dir = dir
	s.stayRecent(dir)
	return nil
}

// stayRecent has a run that goes on be recent, however long it adds nothing: other
// runs would remove what it has.
func (s *Store) stayRecent(dir string) {
	time.AfterFunc(recent/2, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		now := time.Now()
		if s.dir == dir && os.Chtimes(dir, now, now) == nil {
			s.stayRecent(dir)
		}
	})
}

// crowded reports whether there may be something to remove. To look at the sizes
// of few runs each time would cost more than they take.
func crowded(base string) bool {
	entries, err := os.ReadDir(base)
	return err == nil && len(entries) >= MaxRuns/2
}

// stamp begins the names of runs' directories, so that they sort by age.
const stamp = "dist-20060102-150405"

var runName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^dist-\d{8}-\d{6}-`)
})

// fileName makes a file's name of a test's or package's.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	const most = 100 // of the 255 bytes a name may have
	if len(name) > most {
		ext := filepath.Ext(name)
		if len(ext) > 10 {
			ext = ""
		}
		name = name[:most-len(ext)] + ext
	}
	return strings.TrimLeft(name, ".")
}

// A Run is the directory of a run, which may still be going on.
type Run struct {
	Dir  string
	At   time.Time // when something was last added; of one that goes on, within the hour
	Size int64     // bytes in all

	// Events is the name of its file of events; "" if it has none.
	Events string
}

// Runs are those below a directory, the newest first. A directory that is not
// there has none.
func Runs(base string) ([]Run, error) {
	entries, err := os.ReadDir(base)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("look for artifacts: %w", err)
	}
	var runs []Run
	for _, e := range entries {
		if !e.IsDir() || !runName().MatchString(e.Name()) {
			continue
		}
		r := Run{Dir: filepath.Join(base, e.Name())}
		if info, err := e.Info(); err == nil {
			r.At = info.ModTime()
		}
		filepath.WalkDir(r.Dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return nil
			}
			r.Size += info.Size()
			if info.ModTime().After(r.At) {
				r.At = info.ModTime()
			}
			if name == filepath.Join(r.Dir, events.FileName) {
				r.Events = name
			}
			return nil
		})
		runs = append(runs, r)
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return b.At.Compare(a.At) })
	return runs, nil
}

// Prune removes the oldest runs in a directory that are too many or too large.
// What is not named as a run's is left alone, and so is what is recent.
func Prune(base string) {
	runs, _ := Runs(base)
	var size int64
	for i, r := range runs {
		size += r.Size
		if (i >= MaxRuns-1 || size > MaxBytes) && time.Since(r.At) > recent {
			os.RemoveAll(r.Dir)
		}
	}
}
