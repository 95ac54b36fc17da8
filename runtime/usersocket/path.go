package usersocket

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	// MaxPath is what the name of a socket may have, in bytes, everywhere: 104 on
	// macOS and the BSDs, 108 on Linux, less a zero.
	MaxPath = 103

	// MinSecret is how long a secret is, in bytes.
	MinSecret = 26

	suffix = ".sock"
	// of a directory for a socket alone; that of a test run, which is swept when
	// nobody holds it, is called otherwise
	dirPrefix = "dist-sock-"
)

// Random returns a text that nobody can guess: a secret.
func Random() string {
	var b [17]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// NewID returns a name for a socket, and for what else belongs to it.
func NewID() string { return Random()[:16] }

// Listen listens on a socket that is called id, in dir, or where that is too
// long a name in a directory of its own. Both are this user's alone.
func Listen(dir, id string) (l *net.UnixListener, path string, err error) {
	if path, err = place(dir, id); err != nil {
		return nil, "", err
	}
	l, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err == nil {
		if err = os.Chmod(path, 0o600); err != nil {
			l.Close()
		}
	}
	if err != nil {
		Remove(dir, id, path)
		return nil, "", err
	}
	return l, path, nil
}

func place(dir, id string) (path string, err error) {
	if path = filepath.Join(dir, id+suffix); len(path) <= MaxPath {
		return path, nil
	}
	for _, tmp := range []string{os.TempDir(), "/tmp"} {
		own, err := filepath.Abs(filepath.Join(tmp, dirPrefix+id))
		if err != nil {
			continue
		}
		if path = filepath.Join(own, id+suffix); len(path) > MaxPath {
			continue
		}
		if err := os.Mkdir(own, 0o700); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no directory with a name short enough for a socket: neither %s nor %s", dir, os.TempDir())
}

// Remove removes the socket that was called id, of a process that has ended. Of
// path, where a file says that it was, only that is believed which belongs to
// the id.
func Remove(dir, id, path string) {
	os.Remove(filepath.Join(dir, id+suffix))
	own := filepath.Dir(path)
	if filepath.IsAbs(path) && filepath.Base(path) == id+suffix && filepath.Base(own) == dirPrefix+id {
		os.Remove(path)
		os.Remove(own)
	}
}
