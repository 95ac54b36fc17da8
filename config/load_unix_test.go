//go:build unix

package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestUnreadable(t *testing.T) {
	if os.Getuid() != 0 {
		root := module(t, map[string]string{FileName: ""})
		if err := os.Chmod(filepath.Join(root, FileName), 0); err != nil {
			t.Fatal(err)
		}
		_, err := Load(root)
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Load of a file without permission: %v", err)
		}
	}
	root := module(t, nil)
	if err := os.Symlink(FileName, filepath.Join(root, FileName)); err != nil {
		t.Fatal(err)
	}
	_, err := Load(root)
	if !errors.Is(err, syscall.ELOOP) {
		t.Errorf("Load of a link to itself: %v, want ELOOP", err)
	}
}

// TestPipe would hang if Load opened the pipe.
func TestPipe(t *testing.T) {
	root := module(t, nil)
	if err := syscall.Mkfifo(filepath.Join(root, FileName), 0o666); err != nil {
		t.Skip(err)
	}
	_, err := Load(root)
	if err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("Load of a pipe: %v", err)
	}
}
