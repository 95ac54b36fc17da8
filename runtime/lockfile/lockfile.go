package lockfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// places are where a directory may be: in the user's cache directory, so that all
// processes of a user find each other's files whatever TMPDIR says, and in the
// temporary directory for where the former cannot be had: a read-only home, as
// in many containers, or somebody else's.
func places(name string) []string {
	var all []string
	if cache, err := os.UserCacheDir(); err == nil {
		all = append(all, filepath.Join(cache, "dist", name))
	}
	return append(all, filepath.Join(os.TempDir(), fmt.Sprintf("dist-%s-%d", name, os.Getuid())))
}

// Dir returns a directory, made if it is not there, that is this user's alone.
func Dir(name string) (string, error) {
	var errs []error
	for _, dir := range places(name) {
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = usable(dir)
		}
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// usable is check, of a place that other hands have made, perhaps, with another
// idea of its mode. In the temporary directory that could be anybody's idea.
func usable(dir string) error {
	if info, err := os.Lstat(dir); err == nil && filepath.Dir(dir) != filepath.Clean(os.TempDir()) && info.IsDir() && ownedByUs(info) && !private(info) {
		os.Chmod(dir, 0o700)
	}
	if err := check(dir); err != nil {
		return err
	}
	return writable(dir)
}

func check(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || !private(info) || !ownedByUs(info) {
		return fmt.Errorf("%s is not a directory of this user alone", dir)
	}
	return nil
}

// A File is a locked file of this process.
type File struct {
	path string
	lock *flock.Flock
}

// Create writes a file, which is there whole or not at all, and locked from the
// first moment it can be seen.
func Create(dir, name string, data []byte) (f *File, err error) {
	err = again(func() error { f, err = create(dir, name, data); return err })
	return f, err
}

// again makes something once more that was removed before it was there: whoever
// was stopped for long over it is taken for dead, see List.
func again(makes func() error) error {
	err := makes()
	for try := 0; try < 2 && errors.Is(err, fs.ErrNotExist); try++ {
		err = makes()
	}
	return err
}

func create(dir, name string, data []byte) (*File, error) {
	file := filepath.Join(dir, name)
	temp := filepath.Join(dir, tempPrefix+name)
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		os.Remove(temp) // what there is of it
		return nil, err
	}
	made()
	lock := flock.New(temp, flock.SetFlag(os.O_RDWR)) // not to make another one
	ok, err := lock.TryLock()
	if err == nil && !ok {
		err = errors.New("another process has it locked")
	}
	if err != nil {
		os.Remove(temp)
		return nil, fmt.Errorf("lock %s: %w", temp, err)
	}
	if err := os.Rename(temp, file); err != nil {
		lock.Unlock()
		os.Remove(temp)
		return nil, err
	}
	return &File{path: file, lock: lock}, nil
}

// made is called between the making of something and its locking, for tests.
var made = func() {}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Remove removes the file.
func (f *File) Remove() {
	os.Remove(f.path) // first: what is seen unlocked is taken for dead
	f.lock.Unlock()
}

// MakeDir makes a directory of this user alone that is locked, as long as this
// process lives, from the first moment it can be seen, so that [Claim] can tell.
// Where the file system has no locks it is made all the same, and nobody can
// claim it.
func MakeDir(dir string) (f *File, err error) {
	err = again(func() error { f, err = makeDir(dir); return err })
	return f, err
}

func makeDir(dir string) (*File, error) {
	temp := filepath.Join(filepath.Dir(dir), tempPrefix+filepath.Base(dir))
	if err := os.Mkdir(temp, 0o700); err != nil {
		return nil, err
	}
	made()
	lock := flock.New(temp, flock.SetFlag(openFlags))
	_, err := lock.TryLock()
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) && pathErr.Op == "open" {
		os.Remove(temp)
		return nil, err
	}
	if err := os.Rename(temp, dir); err != nil {
		lock.Unlock()
		os.Remove(temp)
		return nil, err
	}
	return &File{path: dir, lock: lock}, nil
}

// Unmade reports whether a directory is one that MakeDir was killed over.
func Unmade(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && strings.HasPrefix(filepath.Base(dir), tempPrefix) && check(dir) == nil && time.Since(info.ModTime()) > tempAge
}

// IsOurs reports whether a directory is this user's alone.
func IsOurs(dir string) bool { return check(dir) == nil }

// tempPrefix hides a file that is being made.
const tempPrefix = "."

// tempAge is after what time a file that is being made never will be.
const tempAge = time.Minute

// List returns the files in a directory whose names end in suffix, and removes
// what processes have left that were killed while they made one.
func List(dir, suffix string) ([]string, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, f := range all {
		if filepath.Ext(f.Name()) != suffix {
			continue
		}
		file := filepath.Join(dir, f.Name())
		if !strings.HasPrefix(f.Name(), tempPrefix) {
			files = append(files, file)
		} else if info, err := f.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > tempAge {
			os.Remove(file)
		}
	}
	return files, nil
}

// Find is Dir for whoever only looks, and makes nothing, as it may be the last to
// come by: fs.ErrNotExist where nobody has made the directory.
func Find(name string) (string, error) {
	var err error
	for _, dir := range places(name) {
		if err = usable(dir); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// Files returns those of the directory that [Find] finds, as List does: none where
// nobody has made it.
func Files(name, suffix string) ([]string, error) {
	dir, err := Find(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return List(dir, suffix)
}

// Dead returns those of Files whose processes have ended without removing them.
// It removes none of them.
func Dead(name, suffix string) ([]string, error) {
	files, err := Files(name, suffix)
	if err != nil {
		return nil, err
	}
	var dead []string
	for _, file := range files {
		if release, err := Claim(file); err == nil && release != nil {
			release()
			dead = append(dead, file)
		}
	}
	return dead, nil
}

// Errors of Read.
var (
	ErrForeign   = errors.New("not a file") // a link, a pipe, a directory
	ErrOtherUser = errors.New("a file of another user")
)

// Claim takes over a file of somebody who has ended: nobody else gets it until
// release is called. Release is nil if its owner lives, or it cannot be had.
func Claim(file string) (release func(), err error) {
	lock := flock.New(file, flock.SetFlag(openFlags))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, err
	}
	// It may have been removed between its being opened and locked, and another
	// one be there now.
	opened, err := lock.Stat()
	if err == nil {
		var named fs.FileInfo
		if named, err = os.Lstat(file); err == nil && !os.SameFile(opened, named) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		lock.Unlock()
		return nil, err
	}
	return func() { lock.Unlock() }, nil
}

// Read returns what is in a file. It never waits, and reads no more than max
// bytes: more is an error.
func Read(file string, max int64) ([]byte, error) {
	f, err := os.OpenFile(file, openFlags, 0)
	if err != nil {
		if info, statErr := os.Lstat(file); statErr == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: %w but a %s", file, ErrForeign, kind(info.Mode()))
		}
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w but a %s", file, ErrForeign, kind(info.Mode()))
	case !ownedByUs(info):
		return nil, fmt.Errorf("%s: %w", file, ErrOtherUser)
	case info.Size() > max:
		return nil, fmt.Errorf("%s has %d bytes: at most %d make sense", file, info.Size(), max)
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		err = fmt.Errorf("%s has more than %d bytes", file, max)
	}
	return b, err
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}
