package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// An entry says, in the user's state directory, that a run exists and where
// its files are. Its file is locked as long as the run's process lives; a file
// that can be locked belongs to a run that was killed.
type entry struct {
	file string
	lock *flock.Flock
}

type entryData struct {
	Version int
	Run     string
	Dir     string
}

const entrySuffix = ".run"

// stateDir is where entries are: in the user's cache directory, so that all
// runs of a user find each other's whatever TMPDIR says.
func stateDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err == nil {
		dir := filepath.Join(cache, "dist", "runs")
		if err = os.MkdirAll(dir, 0o700); err == nil {
			return dir, nil
		}
	}
	// A read-only home, as in many containers.
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("dist-runs-%d", os.Getuid()))
	if mkErr := os.Mkdir(dir, 0o700); mkErr != nil && !os.IsExist(mkErr) {
		return "", err
	}
	// Somebody else may have made it, to be told where our files are.
	if info, statErr := os.Lstat(dir); statErr != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return "", fmt.Errorf("%s is not a directory of this user alone", dir)
	}
	return dir, nil
}

func newEntry(run, dir string) (*entry, error) {
	state, err := stateDir()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(entryData{Version: 1, Run: run, Dir: dir})
	if err != nil {
		return nil, err
	}
	// Locked before it gets its name: an entry that is seen unlocked is dead.
	file := filepath.Join(state, run+entrySuffix)
	temp := filepath.Join(state, "."+run)
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return nil, err
	}
	lock := flock.New(temp)
	if ok, err := lock.TryLock(); err != nil || !ok {
		os.Remove(temp)
		return nil, fmt.Errorf("lock %s: %w", temp, err)
	}
	if err := os.Rename(temp, file); err != nil {
		lock.Unlock()
		os.Remove(temp)
		return nil, err
	}
	return &entry{file: file, lock: lock}, nil
}

func (e *entry) remove() {
	os.Remove(e.file)
	e.lock.Unlock()
}

// sweepDeadRuns finishes what runs that were killed together with their reaper
// could not: it ends their processes and removes their files.
func sweepDeadRuns() {
	files, err := entries()
	if err != nil {
		return
	}
	for _, f := range files {
		sweepDeadRun(f)
	}
}

func sweepDeadRun(file string) bool {
	lock := lockDead(file)
	if lock == nil {
		return false
	}
	defer lock.Unlock()
	defer os.Remove(file)
	if run, dir, ok := readEntry(file); ok {
		cleanUp(run, dir)
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
