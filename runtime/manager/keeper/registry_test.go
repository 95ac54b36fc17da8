//go:build unix

package keeper

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/usersocket"
)

// home points the registry and the temporary directory at directories of the
// test.
func home(t *testing.T) (owners string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := lockfile.Dir(registry)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func validRecord(dir string) Record {
	return Record{
		Version: registryFormat, Module: "v1.2.3", Kind: "dist up", Open: true, PID: os.Getpid(), Started: time.Now().UTC(),
		Socket: filepath.Join(dir, "x.sock"), Secret: usersocket.Random(),
	}
}

func TestRecord(t *testing.T) {
	dir := home(t)
	want := validRecord(dir)
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	f, err := lockfile.Create(dir, "x"+registrySuffix, b)
	if err != nil {
		t.Fatal(err)
	}
	want.File = f.Path()
	records, notes, err := Records()
	if err != nil || len(notes) > 0 || len(records) != 1 || records[0] != want {
		t.Errorf("Records() = %+v, %q, %v, want %+v", records, notes, err, want)
	}
	if r, err := ReadRecord(f.Path()); err != nil || r != want {
		t.Errorf("ReadRecord() = %+v, %v, want %+v", r, err, want)
	}
	f.Remove()
	if _, err := ReadRecord(f.Path()); !os.IsNotExist(err) {
		t.Errorf("ReadRecord() of what has been removed: %v", err)
	}
}

// TestHostile has everything in the registry that does not belong there. None
// of it may stop anybody, and a second look finds it tidy.
func TestHostile(t *testing.T) {
	valid := func(dir string) string {
		b, _ := json.Marshal(validRecord(dir))
		return string(b)
	}
	write := func(content string) func(dir, file string) error {
		return func(_, file string) error { return os.WriteFile(file, []byte(content), 0o600) }
	}
	tests := []struct {
		name string
		make func(dir, file string) error
		note string // ; "": removed without a word
		stay bool   // it is not ours to remove
	}{
		{"dead", func(dir, file string) error { return os.WriteFile(file, []byte(valid(dir)), 0o600) }, "", false},
		{"empty", write(""), "has ended: it is not what an owner writes", false},
		{"cut", func(dir, file string) error {
			return os.WriteFile(file, []byte(valid(dir)[:40]), 0o600)
		}, "has ended: it is not what", false},
		{"binary", write("\x00\xff\x7fELF"), "it is not what an owner writes", false},
		{"future", write(`{"version": 99, "pid": "seven"}`), "another version of dist, in format 99", false},
		{"nested", write(strings.Repeat("[", 60<<10)), "it is not what an owner writes", false},
		{"other types", write(`{"version": 1, "pid": {"a": 1}, "socket": []}`), "it is not what an owner writes", false},
		{"no socket", write(`{"version": 1, "pid": 1, "secret": "0123456789012345678901234567"}`), "it is not what an owner writes", false},
		{"huge", func(_, file string) error {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(file, 1<<40)
		}, "1099511627776 bytes", false},
		{"link", func(dir, file string) error {
			secret := filepath.Join(dir, "secret")
			if err := os.WriteFile(secret, []byte(valid(dir)), 0o600); err != nil {
				return err
			}
			return os.Symlink(secret, file)
		}, "removed", false},
		{"dangling link", func(dir, file string) error { return os.Symlink("nowhere", file) }, "removed", false},
		{"pipe", func(dir, file string) error { return unix.Mkfifo(file, 0o600) }, "a named pipe", false},
		{"directory", func(dir, file string) error { return os.Mkdir(file, 0o700) }, "a directory", false},
		{"full directory", func(dir, file string) error { return os.MkdirAll(filepath.Join(file, "x"), 0o700) }, "ignored", true},
		{"socket", func(dir, file string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			old, err := os.Getwd()
			if err != nil {
				return err
			}
			defer os.Chdir(old)
			if err := os.Chdir(dir); err != nil { // the name may be too long otherwise
				return err
			}
			return unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Base(file)})
		}, "a socket", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := home(t)
			file := filepath.Join(dir, "x"+registrySuffix)
			if err := tt.make(dir, file); err != nil {
				t.Fatal(err)
			}
			look := func() ([]Record, []string) {
				type result struct {
					records []Record
					notes   []string
					err     error
				}
				done := make(chan result, 1)
				go func() {
					r, n, err := Records()
					done <- result{r, n, err}
				}()
				select {
				case r := <-done:
					if r.err != nil {
						t.Error(r.err)
					}
					return r.records, r.notes
				case <-time.After(30 * time.Second):
					t.Fatal("Records() hangs")
				}
				return nil, nil
			}
			records, notes := look()
			if len(records) > 0 {
				t.Errorf("it is taken for an owner: %+v", records)
			}
			if all := strings.Join(notes, "\n"); tt.note == "" && all != "" || !strings.Contains(all, tt.note) {
				t.Errorf("notes %q, want %q", all, tt.note)
			}
			_, err := os.Lstat(file)
			if stays := err == nil; stays != tt.stay {
				t.Errorf("it stays: %v, want %v", stays, tt.stay)
			}
			if _, notes := look(); len(notes) > 0 != tt.stay {
				t.Errorf("at the second look: %q", notes)
			}
		})
	}
}

// TestDeadOwner: what an owner that was killed has left is removed, and of what
// its file says, nothing else.
func TestDeadOwner(t *testing.T) {
	dir := home(t)
	innocent := filepath.Join(t.TempDir(), "dist-sock-x")
	for _, name := range []string{"x.sock", "y.sock"} {
		if err := os.MkdirAll(innocent, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, innocent} {
			if err := os.WriteFile(filepath.Join(d, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := validRecord(dir)
	r.Socket = filepath.Join(innocent, "y.sock")
	b, _ := json.Marshal(r)
	if err := os.WriteFile(filepath.Join(dir, "x"+registrySuffix), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if records, notes, err := Records(); len(records)+len(notes) > 0 || err != nil {
		t.Errorf("%v, %q, %v", records, notes, err)
	}
	for file, want := range map[string]bool{
		filepath.Join(dir, "x.sock"): false, filepath.Join(dir, "y.sock"): true,
		filepath.Join(innocent, "x.sock"): true, filepath.Join(innocent, "y.sock"): true,
	} {
		if _, err := os.Lstat(file); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", file, err == nil, want)
		}
	}
	// A directory for the socket alone goes with it.
	r.Socket = filepath.Join(innocent, "x.sock")
	os.Remove(filepath.Join(innocent, "y.sock"))
	b, _ = json.Marshal(r)
	if err := os.WriteFile(filepath.Join(dir, "x"+registrySuffix), b, 0o600); err != nil {
		t.Fatal(err)
	}
	Records()
	if _, err := os.Lstat(innocent); err == nil {
		t.Errorf("%s is still there", innocent)
	}
}

// TestRegistryPlace: a home that is somebody else's, or read-only, is no place
// for the registry, and neither is what somebody else has made.
func TestRegistryPlace(t *testing.T) {
	home(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(file, "cache")) // cannot be made
	dir, err := lockfile.Dir(registry)
	want := filepath.Join(os.TempDir(), fmt.Sprintf("dist-owners-%d", os.Getuid()))
	if err != nil || dir != want {
		t.Fatalf("Dir() = %q, %v, want %q", dir, err, want)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir, err := lockfile.Dir(registry); err == nil {
		t.Errorf("Dir() = %q, though others may look into it", dir)
	}
	if _, _, err := Records(); err == nil {
		t.Error("Records() has no word about that")
	}
	found, err := new(Finder).Find(t.Context(), Ask{Program: testProgram(), Nodes: 1})
	if err != nil || found.Owner != nil || len(found.Notes) != 1 {
		t.Errorf("Find() = %+v, %v", found, err)
	}
}

func FuzzRecord(f *testing.F) {
	b, _ := json.Marshal(validRecord("/tmp"))
	f.Add(b)
	f.Add(b[:50])
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1e9}`))
	f.Add([]byte(`{"version":1,"Version":2,"pid":-1,"started":"never"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		if r.PID < 1 || len(r.Secret) < usersocket.MinSecret || !filepath.IsAbs(r.Socket) || len(r.Socket) > usersocket.MaxPath || strings.ContainsAny(r.Kind+r.Socket, "\n\x00\x1b") {
			t.Errorf("parseRecord(%q) = %+v", b, r)
		}
	})
}
