//go:build unix

package artifacts_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/distkit/dist/runtime/artifacts"
)

// TestUnreadable: what cannot be read keeps nothing else from being kept.
func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 { // which reads everything
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestUnreadable$", "-test.v")
		cmd.Dir, cmd.Env = "/", append(os.Environ(), "TMPDIR=/tmp")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		switch {
		case cmd.ProcessState == nil:
			t.Skipf("this process cannot become another user: %v", err)
		case err != nil || !bytes.Contains(out, []byte("--- PASS")):
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "d", "e"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "b"), 0), os.Mkdir(filepath.Join(dir, "c"), 0)); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(dir, "c"), 0o700)
	var s artifacts.Store
	s.Of(t.TempDir(), "example.com/p")
	to, err := s.CopyDir("node-1", dir)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "b")+": permission denied") {
		t.Errorf("CopyDir() = %v", err)
	}
	for _, name := range []string{"a", "d", "e"} {
		if b, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(b) != name {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestArtifactsArePrivate: what is kept of a failed test is nobody else's to
// read, also in a directory that everybody may write to, and no link that lies
// there is followed.
func TestArtifactsArePrivate(t *testing.T) {
	base := t.TempDir()
	if err := os.Chmod(base, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s artifacts.Store
	s.Of(base, "example.com/p")
	first, err := s.Write("log.txt", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, filepath.Join(filepath.Dir(first), "next.txt")); err != nil {
		t.Fatal(err)
	}
	second, err := s.Write("next.txt", []byte("secret"))
	if err != nil || filepath.Base(second) == "next.txt" {
		t.Errorf("%s, %v", second, err)
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
	for name, want := range map[string]fs.FileMode{filepath.Dir(first): fs.ModeDir | 0o700, first: 0o600, second: 0o600} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
