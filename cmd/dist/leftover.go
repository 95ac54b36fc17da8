package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/inspect"
	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/manager/keeper"
	"github.com/distkit/dist/runtime/program"
)

// A leftover is something of this user's that dist has made, that nobody uses
// any more, and that proves to be both. Its JSON form is documented in
// docs/dist.md.
type leftover struct {
	Kind      string   `json:"kind"` // run | test | owner | build
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
	"run":   "of a test binary that was killed",
	"test":  "of a dist test that was killed",
	"owner": "of an owner of clusters that was killed",
	"build": "a build that nobody has used for long",
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
		found = append(found, &leftover{Kind: "run", Path: path, Processes: r.Processes, remove: unlessInUse(r.Remove)})
	}
	found = append(found, deadTests()...)
	owners, ownersErr := keeper.Dead()
	for _, file := range owners {
		found = append(found, &leftover{Kind: "owner", Path: file, remove: unlessInUse(func() bool { return keeper.RemoveDead(file) })})
	}
	asked, askedErr := inspect.Dead()
	for _, file := range asked {
		found = append(found, &leftover{Kind: "run", Path: file, remove: unlessInUse(func() bool { return inspect.RemoveDead(file) })})
	}
	for _, dir := range program.OldBuilds() {
		found = append(found, &leftover{Kind: "build", Path: dir, remove: unlessInUse(func() bool { return program.RemoveOld(dir) })})
	}
	return found, errors.Join(err, ownersErr, askedErr)
}

// unlessInUse is for what can be in use by now.
func unlessInUse(remove func() bool) func() error {
	return func() error {
		if !remove() {
			return errInUse
		}
		return nil
	}
}

// The directory of a dist test has a file that is locked as long as the command
// lives. That it can be locked proves that the command is gone; a directory
// without one proves nothing.
const (
	testDirPrefix = "dist-test-"
	testLock      = "lock"
)

// makeTestDir makes the directory of a dist test.
func makeTestDir() (dir string, lock *lockfile.File, err error) {
	if dir, err = os.MkdirTemp("", testDirPrefix); err != nil {
		return "", nil, err
	}
	if lock, err = lockfile.Create(dir, testLock, nil); err != nil {
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
		release := claimTest(dir)
		if release == nil {
			continue
		}
		release()
		found = append(found, &leftover{Kind: "test", Path: dir, remove: func() error {
			release := claimTest(dir)
			if release == nil {
				return errInUse
			}
			defer release()
			return os.RemoveAll(dir)
		}})
	}
	return found
}

// claimTest takes over the directory of a dist test that has ended; nil if it is
// no such directory.
func claimTest(dir string) (release func()) {
	name := filepath.Join(dir, testLock)
	if !isOurs(dir, fs.ModeDir|0o700) || !isOurs(name, 0) {
		return nil
	}
	release, err := lockfile.Claim(name)
	if err != nil {
		return nil
	}
	return release
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
