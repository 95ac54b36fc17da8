package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/distkit/dist/runtime/engine/process"
)

// A leftover is something of this user's that dist has made, that nobody uses
// any more, and that proves to be both. Its JSON form is documented in
// docs/dist.md.
type leftover struct {
	Kind      string   `json:"kind"` // run | test
	Path      string   `json:"path"`
	Processes []string `json:"processes,omitempty"`
	Error     string   `json:"error,omitempty"` // why it could not be removed

	remove func() error
}

func (l *leftover) String() string {
	text := l.Path
	if len(l.Processes) > 0 {
		text += ", " + strings.Join(l.Processes, ", ")
	}
	return text
}

// kindWords say what is left over of what.
var kindWords = map[string]string{
	"run":  "of a test binary that was killed",
	"test": "of a dist test that was killed",
}

// errInUse is the end of a leftover that somebody has begun to use again.
var errInUse = errors.New("in use by now")

// findLeftovers looks, and changes nothing.
func findLeftovers() ([]*leftover, error) {
	var found []*leftover
	runs, err := process.Leftovers()
	for _, r := range runs {
		path := r.Dir
		if path == "" {
			path = r.Entry
		}
		found = append(found, &leftover{Kind: "run", Path: path, Processes: r.Processes, remove: func() error {
			if !r.Remove() {
				return errInUse
			}
			return nil
		}})
	}
	found = append(found, deadTests()...)
	return found, err
}

// The directory of a dist test has a file that is locked as long as the command
// lives. That it can be locked proves that the command is gone; a directory
// without one proves nothing.
const (
	testDirPrefix = "dist-test-"
	testLock      = "lock"
)

// makeTestDir makes the directory of a dist test.
func makeTestDir() (dir string, lock *flock.Flock, err error) {
	if dir, err = os.MkdirTemp("", testDirPrefix); err != nil {
		return "", nil, err
	}
	// Locked before it gets its name.
	temp := filepath.Join(dir, ".lock")
	lock = flock.New(temp)
	ok, err := lock.TryLock()
	if err == nil && !ok {
		err = fmt.Errorf("lock %s: somebody has it", temp)
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, testLock))
	}
	if err != nil {
		lock.Close()
		os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, lock, nil
}

// deadTests finds the directories of dist tests that were killed.
func deadTests() []*leftover {
	dirs, err := filepath.Glob(filepath.Join(escapeGlob(os.TempDir()), testDirPrefix+"*"))
	if err != nil {
		return nil
	}
	slices.Sort(dirs)
	var found []*leftover
	for _, dir := range dirs {
		lock := lockDeadTest(dir)
		if lock == nil {
			continue
		}
		lock.Close()
		found = append(found, &leftover{Kind: "test", Path: dir, remove: func() error {
			lock := lockDeadTest(dir)
			if lock == nil {
				return errInUse
			}
			defer lock.Close()
			return os.RemoveAll(dir)
		}})
	}
	return found
}

// lockDeadTest locks the directory of a dist test that has ended; nil if it is
// no such directory.
func lockDeadTest(dir string) *flock.Flock {
	name := filepath.Join(dir, testLock)
	if !isOurs(dir, fs.ModeDir|0o700) || !isOurs(name, 0) {
		return nil
	}
	lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
	if ok, err := lock.TryLock(); err != nil || !ok {
		lock.Close()
		return nil
	}
	return lock
}

// isOurs reports whether a file is this user's and of this mode, where 0 is any
// regular file.
func isOurs(name string, mode fs.FileMode) bool {
	info, err := os.Lstat(name)
	if err != nil || !ownedByUs(info) {
		return false
	}
	if mode == 0 {
		return info.Mode().IsRegular()
	}
	return info.Mode() == mode
}

// escapeGlob is for directories whose names are patterns by accident.
func escapeGlob(dir string) string {
	if os.PathSeparator == '\\' {
		return dir
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
