package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/usersocket"
)

const (
	place        = "tests" // the directory's name
	recordSuffix = ".test"
	recordMost   = 64 << 10 // bytes
	format       = 1        // of the files and of what is asked; another one is not read
)

// A Record is what the file of a test binary says.
type Record struct {
	File    string    `json:"-"`
	Version int       `json:"version"` // format
	Package string    `json:"package"` // import path
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Socket  string    `json:"socket"` // where it listens
	Secret  string    `json:"secret"` // whoever asks must know it
}

// Records returns the test binaries that can be asked, and removes what those
// have left that have ended. notes are for people: files that cannot be read.
// Its error is about the directory.
func Records() (records []Record, notes []string, err error) {
	files, err := lockfile.Files(place, recordSuffix)
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		if RemoveDead(file) {
			continue
		}
		b, err := lockfile.Read(file, recordMost)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended just now
		}
		var r Record
		if err == nil {
			r, err = parseRecord(b)
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("ignored %s: %v", file, err))
			continue
		}
		r.File = file
		records = append(records, r)
	}
	return records, notes, nil
}

// parseRecord believes nothing that does not make sense.
func parseRecord(b []byte) (Record, error) {
	var head struct{ Version int }
	if json.Unmarshal(b, &head) == nil && head.Version != format {
		return Record{}, fmt.Errorf("it was written by another version of dist, in format %d; this one reads format %d", head.Version, format)
	}
	var r Record
	err := json.Unmarshal(b, &r)
	if err != nil || r.PID < 1 || len(r.Secret) < usersocket.MinSecret || !filepath.IsAbs(r.Socket) || len(r.Socket) > usersocket.MaxPath ||
		strings.ContainsFunc(r.Package+r.Socket, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return Record{}, errors.New("it is not what a test binary writes")
	}
	return r, nil
}

// Dead returns the files of test binaries that have ended without removing
// theirs. It removes nothing.
func Dead() ([]string, error) { return lockfile.Dead(place, recordSuffix) }

// Tidy removes what test binaries have left that have ended.
func Tidy() {
	dead, _ := Dead() // whoever is asked next finds out what is wrong
	for _, file := range dead {
		RemoveDead(file)
	}
}

// RemoveDead removes the file and the socket of a test binary, if it is dead, and
// reports whether it was.
func RemoveDead(file string) bool {
	release, err := lockfile.Claim(file)
	if err != nil || release == nil {
		return false
	}
	defer release()
	var r Record
	if b, err := lockfile.Read(file, recordMost); err == nil {
		r, _ = parseRecord(b)
	}
	os.Remove(file)
	usersocket.Remove(filepath.Dir(file), strings.TrimSuffix(filepath.Base(file), recordSuffix), r.Socket)
	return true
}
