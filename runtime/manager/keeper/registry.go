package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/distkit/dist/runtime/lockfile"
	"github.com/distkit/dist/runtime/usersocket"
)

// The registry is a directory with one file an owner, which is written once and
// locked as long as the owner lives. What clusters there are changes all the
// time: the owner is asked for that.
const (
	registry       = "owners" // the directory's name
	registrySuffix = ".owner"
	registryMost   = 64 << 10 // bytes
	registryFormat = 1        // of the files; another one is not read
)

// A Record is what the registry says of an owner.
type Record struct {
	File    string    `json:"-"`       // of the registry
	Version int       `json:"version"` // of the file's format
	Module  string    `json:"module"`  // version of this module, for people
	Kind    string    `json:"kind"`    // what the owner is: "dist up"
	Open    bool      `json:"open"`    // its clusters are for all of the user's tests, not for one run
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Socket  string    `json:"socket"` // where it listens
	Secret  string    `json:"secret"` // whoever wants to talk to it must know
}

// Records returns the owners that live, and removes what those have left that
// do not. notes are for people: what was found that is nobody's file, or that
// cannot be read. Its error is about the directory.
func Records() (records []Record, notes []string, err error) {
	files, err := lockfile.Files(registry, registrySuffix)
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		r, note := look(file)
		if note != "" {
			notes = append(notes, note)
		}
		if r != nil {
			records = append(records, *r)
		}
	}
	return records, notes, nil
}

// ReadRecord reads the file of an owner that is known to live.
func ReadRecord(file string) (Record, error) {
	b, err := lockfile.Read(file, registryMost)
	if err != nil {
		return Record{}, err
	}
	r, err := parseRecord(b)
	r.File = file
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// look is Records for one file.
func look(file string) (r *Record, note string) {
	b, err := lockfile.Read(file, registryMost)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ""
	}
	if errors.Is(err, lockfile.ErrForeign) { // in a directory of ours, under a name of ours
		if os.Remove(file) != nil {
			return nil, fmt.Sprintf("ignored %v", err)
		}
		return nil, fmt.Sprintf("removed %v", err)
	}
	if errors.Is(err, lockfile.ErrOtherUser) || errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Sprintf("ignored %v", err)
	}
	var record Record
	if err == nil {
		record, err = parseRecord(b)
	}
	record.File = file
	release, claimErr := lockfile.Claim(file)
	switch {
	case release != nil: // dead, whatever it says
		defer release()
		os.Remove(file)
		removeSocket(file, record)
		if err != nil {
			return nil, fmt.Sprintf("removed %s, of an owner that has ended: %v", file, err)
		}
		return nil, ""
	case errors.Is(claimErr, fs.ErrNotExist):
		return nil, ""
	case err != nil:
		return nil, fmt.Sprintf("ignored %s: %v", file, err)
	case claimErr != nil:
		return nil, fmt.Sprintf("ignored %s: %v", file, claimErr)
	}
	return &record, ""
}

// parseRecord believes nothing that does not make sense.
func parseRecord(b []byte) (Record, error) {
	var head struct{ Version int }
	if err := json.Unmarshal(b, &head); err != nil {
		return Record{}, fmt.Errorf("it is not what an owner writes: %w", err)
	}
	if head.Version != registryFormat {
		return Record{}, fmt.Errorf("it was written by another version of dist, in format %d; this one reads format %d", head.Version, registryFormat)
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("it is not what an owner writes: %w", err)
	}
	switch {
	case r.PID < 1, len(r.Secret) < usersocket.MinSecret, !filepath.IsAbs(r.Socket), len(r.Socket) > usersocket.MaxPath,
		strings.ContainsFunc(r.Kind+r.Module+r.Socket, func(c rune) bool { return c < ' ' }):
		return r, errors.New("it is not what an owner writes")
	}
	return r, nil
}

// removeSocket removes the socket of an owner that has ended.
func removeSocket(file string, r Record) {
	usersocket.Remove(filepath.Dir(file), strings.TrimSuffix(filepath.Base(file), registrySuffix), r.Socket)
}

const modulePath = "github.com/distkit/dist"

// moduleVersion is this module's version in the program that runs.
var moduleVersion = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if info.Main.Path == modulePath {
		return info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			if m.Replace != nil && m.Replace.Version != "" {
				return m.Replace.Version
			}
			return m.Version
		}
	}
	return "(unknown)"
})
