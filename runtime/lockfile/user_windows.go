package lockfile

import (
	"io/fs"
	"os"
)

const openFlags = os.O_RDONLY

// A user's profile, with the cache and the temporary directory, is nobody
// else's on Windows.
func ownedByUs(fs.FileInfo) bool { return true }

func private(fs.FileInfo) bool { return true }

func writable(string) error { return nil }
