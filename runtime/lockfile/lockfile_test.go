//go:build unix

package lockfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLife follows a file from its making to its end. A lock excludes within
// one process as well as between two.
func TestLife(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir, "a.x", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.y"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := List(dir, ".x")
	if err != nil || !slices.Equal(files, []string{f.Path()}) {
		t.Errorf("List() = %q, %v", files, err)
	}
	if b, err := Read(f.Path(), 5); err != nil || string(b) != "hello" {
		t.Errorf("Read() = %q, %v", b, err)
	}
	if _, err := Read(f.Path(), 4); err == nil {
		t.Error("Read() of more than was allowed")
	}
	if release, err := Claim(f.Path()); release != nil || err != nil {
		t.Errorf("a living one's file is claimed, or %v", err)
	}
	f.lock.Unlock() // as the end of its process does
	release, err := Claim(f.Path())
	if release == nil {
		t.Fatalf("a dead one's file is not to be had: %v", err)
	}
	if other, _ := Claim(f.Path()); other != nil {
		t.Error("two have claimed it")
	}
	release()
	if f, err = Create(dir, "a.x", []byte("again")); err != nil {
		t.Fatal(err)
	}
	f.Remove()
	if release, err := Claim(f.Path()); release != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Claim() of nothing: %v", err)
	}
}

// TestReplaced: whoever has opened a file that another one takes the place of
// has claimed nothing.
func TestReplaced(t *testing.T) {
	dir := t.TempDir()
	for range 200 {
		old, err := Create(dir, "a.x", nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 20 {
				if release, _ := Claim(old.Path()); release != nil {
					t.Error("a living one's file is claimed")
					release()
				}
			}
		}()
		next, err := Create(dir, "a.x", nil)
		if err != nil {
			t.Fatal(err)
		}
		old.lock.Unlock()
		<-done
		next.Remove()
	}
}

// TestHalfMade: what was never finished is removed, but not while it may yet be.
func TestHalfMade(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{".old.x": time.Hour, ".new.x": 0, ".other.y": time.Hour} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(file, then, then); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := List(dir, ".x"); err != nil || len(files) > 0 {
		t.Errorf("List() = %q, %v", files, err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	for i, file := range left {
		left[i] = filepath.Base(file)
	}
	if !slices.Equal(left, []string{".new.x", ".other.y"}) {
		t.Errorf("left: %q", left)
	}
}

// TestTakenForDead: whoever was stopped for long over the making of something, so
// that it was removed, makes it once more.
func TestTakenForDead(t *testing.T) {
	dir := t.TempDir()
	times := 0
	made = func() {
		if times++; times > 2 {
			return
		}
		half, err := filepath.Glob(filepath.Join(dir, ".*"))
		if err != nil || len(half) != 1 {
			t.Fatal(half, err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(half[0], old, old); err != nil {
			t.Fatal(err)
		}
		if _, err := List(dir, ".x"); err != nil {
			t.Fatal(err)
		}
		if Unmade(half[0]) {
			os.Remove(half[0])
		}
	}
	defer func() { made = func() {} }()
	f, err := Create(dir, "a.x", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Remove()
	if b, err := Read(f.Path(), 10); err != nil || string(b) != "hello" {
		t.Errorf("Read() = %q, %v", b, err)
	}
	if release, err := Claim(f.Path()); release != nil || err != nil {
		t.Errorf("a living one's file is claimed, or %v", err)
	}
	times = 0
	d, err := MakeDir(filepath.Join(dir, "d"))
	if err != nil || !IsOurs(d.Path()) {
		t.Fatal(d, err)
	}
	d.Remove()
	if times != 3 {
		t.Errorf("made %d times", times)
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pipe, link, dir} {
		if b, err := Read(file, 1000); !errors.Is(err, ErrForeign) {
			t.Errorf("Read(%s) = %q, %v", file, b, err)
		}
	}
	if release, err := Claim(link); release != nil {
		t.Errorf("a link is claimed: %v", err)
	}
}

func TestDir(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "with spaces")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	dir, err := Dir("things")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // by somebody's umask, or hand
		t.Fatal(err)
	}
	again, err := Dir("things")
	info, statErr := os.Stat(dir)
	if err != nil || again != dir || statErr != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("Dir() = %q, %v, mode %v", again, err, info.Mode())
	}
	if os.Getuid() != 0 {
		return // only root can make it somebody else's
	}
	t.Setenv("TMPDIR", t.TempDir())
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if other, err := Dir("things"); err != nil || filepath.Dir(other) != os.TempDir() {
		t.Errorf("Dir() = %q, %v, though the first choice is another user's", other, err)
	} else if err := os.Chown(other, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if other, err := Dir("things"); err == nil {
		t.Errorf("Dir() = %q, which is another user's", other)
	}
}

// TestLooking: whoever only looks for files makes no directory, and finds them in
// either place.
func TestLooking(t *testing.T) {
	home, tmp := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv("TMPDIR", tmp)
	look := func(want ...string) {
		t.Helper()
		if files, err := Files("things", ".x"); err != nil || !slices.Equal(files, want) {
			t.Errorf("Files() = %q, %v, want %q", files, err, want)
		}
		if dead, err := Dead("things", ".x"); err != nil || len(dead) > 0 {
			t.Errorf("Dead() = %q, %v", dead, err)
		}
	}
	look()
	for _, dir := range []string{home, tmp} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("looking has made %v, %v", entries, err)
		}
	}
	make := func() (file string) {
		t.Helper()
		dir, err := Dir("things")
		if err != nil {
			t.Fatal(err)
		}
		f, err := Create(dir, "a.x", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Remove)
		return f.Path()
	}
	cached := make()
	if err := os.Chmod(filepath.Dir(cached), 0o755); err != nil {
		t.Fatal(err)
	}
	look(cached)
	blocked := filepath.Join(home, "file") // there can be no cache
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(blocked, "x"))
	look()
	look(make())
}
