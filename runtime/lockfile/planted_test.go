//go:build unix

package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestPlanted has somebody prepare, in a temporary directory that all may write
// to, the place where this user's files will be looked for.
func TestPlanted(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file") // there is no cache directory
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(blocked, "x"))
	t.Setenv("HOME", filepath.Join(blocked, "x"))
	name := fmt.Sprintf("dist-things-%d", os.Getuid())
	mine := t.TempDir()
	if err := os.Chmod(mine, 0o700); err != nil {
		t.Fatal(err)
	}
	for what, plant := range map[string]func(place string) error{
		"a link to a directory of ours": func(place string) error { return os.Symlink(mine, place) },
		"a link that leads nowhere":     func(place string) error { return os.Symlink("nowhere", place) },
		"a file":                        func(place string) error { return os.WriteFile(place, nil, 0o700) },
		"a directory open to all": func(place string) error {
			return errors.Join(os.Mkdir(place, 0o700), os.Chmod(place, 0o777))
		},
		"a directory others may read": func(place string) error {
			return errors.Join(os.Mkdir(place, 0o700), os.Chmod(place, 0o750))
		},
	} {
		tmp := t.TempDir()
		if err := os.Chmod(tmp, 0o777|fs.ModeSticky); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TMPDIR", tmp)
		if err := plant(filepath.Join(tmp, name)); err != nil {
			t.Fatal(err)
		}
		if dir, err := Dir("things"); err == nil {
			t.Errorf("%s is used: %s", what, dir)
		}
	}
	if os.Getuid() != 0 {
		return // only root can make a file somebody else's
	}
	file := filepath.Join(mine, "x.owner")
	if err := os.WriteFile(file, []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if b, err := Read(file, 100); !errors.Is(err, ErrOtherUser) {
		t.Errorf("Read() of another user's file: %q, %v", b, err)
	}
}
