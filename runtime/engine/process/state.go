package process

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/distkit/dist/runtime/lockfile"
)

// An entry says, in the user's state directory, that a run exists and where
// its files are. One that is not locked belongs to a run that was killed.
type entryData struct {
	Version int
	Run     string
	Dir     string
}

const (
	entries     = "runs" // the state directory's name
	entrySuffix = ".run"
	entryMost   = 64 << 10 // bytes
)

func newEntry(run, dir string) (*lockfile.File, error) {
	place, err := lockfile.Dir(entries)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(entryData{Version: 1, Run: run, Dir: dir})
	if err != nil {
		return nil, err
	}
	return lockfile.Create(place, run+entrySuffix, data)
}

// sweepDeadRuns finishes what runs that were killed together with their reaper
// could not: it ends their processes and removes their files.
func sweepDeadRuns() {
	place, err := lockfile.Dir(entries)
	if err != nil {
		return
	}
	files, err := lockfile.List(place, entrySuffix)
	if err != nil {
		return
	}
	for _, file := range files {
		sweepDeadRun(file)
	}
}

func sweepDeadRun(file string) {
	release, err := lockfile.Claim(file)
	if err != nil || release == nil {
		return // alive, or gone meanwhile
	}
	defer release()
	defer os.Remove(file)
	b, err := lockfile.Read(file, entryMost)
	var data entryData
	if err != nil || json.Unmarshal(b, &data) != nil {
		return
	}
	cleanUp(data.Run, data.Dir)
}

// cleanUp removes what is left of a run that has ended. It believes nothing
// it has read: only a directory that is named as ours is removed.
func cleanUp(run, dir string) {
	if len(run) < 16 || strings.ContainsAny(run, "/\\.= ") {
		return
	}
	sweep(func(id string) bool { return strings.HasPrefix(id, run+"/") })
	if filepath.IsAbs(dir) && filepath.Base(dir) == dirPrefix+run {
		for range 5 { // a process that is just dying may still write
			if os.RemoveAll(dir) == nil {
				break
			}
		}
	}
}
