package artifacts

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds of what is copied.
const (
	MaxLog = 8 << 20  // of a node's log: its first and its last half
	MaxDir = 64 << 20 // of a node's directory
)

// CopyLog adds a node's log to the run and returns the copy's name. Of one that
// is too large the middle is left out, and told of.
func (s *Store) CopyLog(name, log string) (string, error) {
	f, err := os.Open(log)
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	size := info.Size()
	if size == 0 {
		return "", nil
	}
	return s.write(name, func(to io.Writer) error {
		if size <= MaxLog {
			_, err := io.Copy(to, io.LimitReader(f, MaxLog))
			return err
		}
		if _, err := io.Copy(to, io.NewSectionReader(f, 0, MaxLog/2)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(to, "\n… %d bytes are left out …\n", size-MaxLog); err != nil {
			return err
		}
		_, err := io.Copy(to, io.NewSectionReader(f, size-MaxLog/2, MaxLog/2))
		return err
	})
}

// CopyDir adds the regular files of a directory to the run, and returns the name
// of the copy; "" if there are none. What would be too much is left out, and is an
// error besides; so is what cannot be read.
func (s *Store) CopyDir(name, dir string) (_ string, err error) {
	base, err := s.Dir()
	if err != nil {
		return "", err
	}
	to := filepath.Join(base, fileName(name))
	copied, left, room := 0, 0, int64(MaxDir)
	var unread error // the first; the rest is kept all the same
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			unread = cmp.Or(unread, err)
			return nil
		case !d.Type().IsRegular(): // links may lead anywhere
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			unread = cmp.Or(unread, err)
			return nil
		case info.Size() > room:
			left++
			return nil
		}
		r, err := os.Open(path)
		if err != nil {
			unread = cmp.Or(unread, err)
			return nil
		}
		defer r.Close()
		n, err := copyFile(filepath.Join(to, rel), r, room)
		room -= n
		copied++
		return err
	})
	err = cmp.Or(err, unread)
	if copied == 0 && err == nil && left == 0 {
		return "", nil
	}
	if err == nil && left > 0 {
		err = fmt.Errorf("%d files are left out, of more than %d MiB in all", left, MaxDir>>20)
	}
	if err != nil {
		err = fmt.Errorf("keep %s: %w", name, err)
	}
	return to, err
}

func copyFile(to string, r io.Reader, most int64) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return 0, err
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(r, most))
	if e := w.Close(); err == nil {
		err = e
	}
	return n, err
}
