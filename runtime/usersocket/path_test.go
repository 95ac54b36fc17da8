package usersocket

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestPlace(t *testing.T) {
	tmp, err := os.MkdirTemp("/tmp", "")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(tmp)
	t.Setenv("TMPDIR", tmp)
	id := NewID()
	deep := filepath.Join(tmp, strings.Repeat("d", 100))
	got, err := place(deep, id)
	if err != nil || len(got) > MaxPath || filepath.Base(filepath.Dir(got)) != dirPrefix+id {
		t.Fatalf("place() = %q, %v", got, err)
	}
	if run := regexp.MustCompile(`^dist-[a-z2-7]{16}$`); run.MatchString(filepath.Base(filepath.Dir(got))) {
		t.Errorf("%s is named as the directory of a test run, which is removed when nobody holds it", filepath.Dir(got))
	}
	info, err := os.Stat(filepath.Dir(got))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its directory: %v, %v", info, err)
	}
	if err := os.WriteFile(got, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	Remove(deep, id, got)
	if _, err := os.Stat(filepath.Dir(got)); err == nil {
		t.Error("its directory is still there")
	}
	if got, err := place("/short", id); err != nil || got != "/short/"+id+suffix {
		t.Errorf("place() = %q, %v", got, err)
	}
}

// TestRemove: what a file says of a socket is believed only if it is named as
// what this package makes.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"precious", "other.sock"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		Remove(filepath.Join(dir, "elsewhere"), NewID(), file)
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s has been removed", name)
		}
	}
}

func TestListen(t *testing.T) {
	if !Available {
		t.Skip("no such sockets")
	}
	dir, err := os.MkdirTemp("/tmp", "")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	id := NewID()
	l, path, err := Listen(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if _, _, err := Listen(dir, id); err == nil {
		t.Error("two listen at one place")
	}
}
