package diagnostics

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOtherUsersCommand: whoever runs tests as root, or on a machine where all
// see all, does not put others' command lines into its logs.
func TestOtherUsersCommand(t *testing.T) {
	k := kernel{t.TempDir()}
	dir := filepath.Join(k.root, "proc", "7")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"cmdline": "/usr/bin/etcd\x00--name=n1\x00--token\x00hunter2\x00", "comm": "etcd\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.command(7, os.Geteuid()); got != "/usr/bin/etcd --name=n1 --token ***" {
		t.Errorf("ours: %q", got)
	}
	if got := k.command(7, os.Geteuid()+1); got != "[etcd]" {
		t.Errorf("another user's: %q", got)
	}
}
