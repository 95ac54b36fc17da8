package process

import (
	"encoding/json"
	"errors"
	"io/fs"
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

// entryFiles are the entries of this user's runs, living or dead.
func entryFiles() ([]string, error) { return lockfile.Files(entries, entrySuffix) }

// readEntry believes nothing it has read: dir is "" unless it is there and named
// as the run's own.
func readEntry(file string) (run, dir string, ok bool) {
	b, err := lockfile.Read(file, entryMost)
	var data entryData
	if err != nil || json.Unmarshal(b, &data) != nil {
		return "", "", false
	}
	if len(data.Run) < 16 || strings.ContainsAny(data.Run, "/\\.= ") {
		return "", "", false
	}
	if info, err := os.Lstat(data.Dir); err != nil || !info.IsDir() || !filepath.IsAbs(data.Dir) || filepath.Base(data.Dir) != dirPrefix+data.Run {
		return data.Run, "", true
	}
	return data.Run, data.Dir, true
}

// sweepDeadRuns finishes what runs that were killed together with their reaper
// could not: it ends their processes and removes their files.
func sweepDeadRuns() {
	files, err := entryFiles()
	if err != nil {
		return
	}
	for _, file := range files {
		sweepDeadRun(file)
	}
}

// sweepDeadRun reports whether the run was dead.
func sweepDeadRun(file string) bool {
	release, err := lockfile.Claim(file)
	if err != nil || release == nil {
		return false // alive, or gone meanwhile
	}
	defer release()
	defer os.Remove(file)
	if run, dir, ok := readEntry(file); ok {
		cleanUp(run, dir)
	}
	return true
}

// deadDirs finds, in a temporary directory, those of runs that were killed
// before they had an entry. They are known by their names, by whose they are,
// and by nobody's holding their lock.
func deadDirs(tmp string) (dirs []string) {
	place, err := lockfile.Find(entries)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f, err := os.Open(tmp)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	for _, name := range names {
		run, ok := strings.CutPrefix(strings.TrimPrefix(name, "."), dirPrefix)
		if !ok || len(run) != idLen || strings.Trim(run, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			continue
		}
		if place != "" {
			if _, err := os.Lstat(filepath.Join(place, run+entrySuffix)); err == nil {
				continue // its entry says more
			}
		}
		dir := filepath.Join(tmp, name)
		if !lockfile.IsOurs(dir) || name[0] == '.' && !lockfile.Unmade(dir) {
			continue
		}
		if release, err := lockfile.Claim(dir); err == nil && release != nil {
			release()
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// sweepDeadDirs finishes what runs could not that were killed before they had
// an entry.
func sweepDeadDirs(tmp string) {
	for _, dir := range deadDirs(tmp) {
		sweepDeadDir(dir)
	}
}

// sweepDeadDir reports whether the run was dead.
func sweepDeadDir(dir string) bool {
	release, err := lockfile.Claim(dir)
	if err != nil || release == nil {
		return false
	}
	defer release()
	if name := filepath.Base(dir); name[0] == '.' {
		os.Remove(dir) // nothing was ever in it
	} else {
		cleanUp(strings.TrimPrefix(name, dirPrefix), dir)
	}
	return true
}

// cleanUp removes what is left of a run that has ended. It believes nothing
// it has read: only a directory that is named as ours is removed.
func cleanUp(run, dir string) {
	if len(run) < 16 || strings.ContainsAny(run, "/\\.= ") {
		return
	}
	sweep(ofRun(run))
	if filepath.IsAbs(dir) && filepath.Base(dir) == dirPrefix+run {
		for range 5 { // a process that is just dying may still write
			if os.RemoveAll(dir) == nil {
				break
			}
		}
	}
}

func ofRun(run string) func(id string) bool {
	return func(id string) bool { return strings.HasPrefix(id, run+"/") }
}
