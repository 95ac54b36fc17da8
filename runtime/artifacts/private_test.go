//go:build unix

package artifacts_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/distkit/dist/runtime/artifacts"
)

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
