package lockfile

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const envReadOnly = "DIST_TEST_READ_ONLY"

// TestReadOnly: a directory that is there, and whose file system is mounted for
// reading only, is of no use.
func TestReadOnly(t *testing.T) {
	if cache := os.Getenv(envReadOnly); cache != "" {
		inReadOnly(t, cache)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestReadOnly$", "-test.v")
	cache, tmp := t.TempDir(), t.TempDir()
	cmd.Env = append(os.Environ(), envReadOnly+"="+cache, "XDG_CACHE_HOME="+cache, "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.ProcessState == nil:
		t.Skipf("no user namespaces here: %v", err)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	case err != nil || !bytes.Contains(out, []byte("--- PASS")):
		t.Errorf("%v\n%s", err, out)
	}
}

func inReadOnly(t *testing.T, cache string) {
	if err := unix.Mount("none", cache, "tmpfs", 0, ""); err != nil {
		t.Skip("nothing can be mounted here: ", err)
	}
	cached, err := Dir("things")
	if err != nil || cached != filepath.Join(cache, "dist", "things") {
		t.Fatalf("Dir() = %q, %v", cached, err)
	}
	if err := unix.Mount("", cache, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skip("nothing can be mounted for reading only: ", err)
	}
	for _, look := range []func(string) (string, error){Dir, Find} {
		dir, err := look("things")
		if err != nil || filepath.Dir(dir) != os.TempDir() {
			t.Errorf("Dir() = %q, %v", dir, err)
		}
		f, err := Create(dir, "a.x", nil)
		if err != nil {
			t.Fatal(err)
		}
		f.Remove()
	}
}
