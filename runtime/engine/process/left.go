package process

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// A Leftover is what a run that was killed, together with its reaper, could not
// remove: its entry in the user's state, which nobody holds a lock on, and what
// is named in it and proves to be of that run.
type Leftover struct {
	Run       string   // its id; "" if the entry cannot be read
	Entry     string   // file in the user's state directory
	Dir       string   // the run's directory; "" if it is not there
	Processes []string // that carry the run's id in their environment, one a line (Linux)
}

// StateDir returns the directory in which runs of this user have entries. It is
// made if it is not there.
func StateDir() (string, error) { return stateDir() }

// Leftovers looks for what runs of this user have left. It removes nothing: the
// next run does, and [Leftover.Remove].
func Leftovers() ([]Leftover, error) {
	entries, err := entries()
	if err != nil {
		return nil, err
	}
	var left []Leftover
	for _, file := range entries {
		if lock := lockDead(file); lock != nil {
			l := Leftover{Entry: file}
			if run, dir, ok := readEntry(file); ok {
				l.Run, l.Dir = run, dir
				l.Processes = findProcesses(ofRun(run))
			}
			lock.Unlock()
			left = append(left, l)
		}
	}
	return left, nil
}

// Remove ends the processes and removes the files, if they still are nobody's.
// It reports whether they were.
func (l Leftover) Remove() bool { return sweepDeadRun(l.Entry) }

// entries are the files of all runs that have an entry.
func entries() ([]string, error) {
	state, err := stateDir()
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(state)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if filepath.Ext(f.Name()) == entrySuffix {
			names = append(names, filepath.Join(state, f.Name()))
		}
	}
	return names, nil
}

// lockDead locks the entry of a run that has ended without removing it; nil if
// the run lives, or the entry is gone.
func lockDead(file string) *flock.Flock {
	lock := flock.New(file, flock.SetFlag(os.O_RDONLY))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil
	}
	return lock
}

// readEntry believes nothing it has read: dir is "" unless it is named as the
// run's own.
func readEntry(file string) (run, dir string, ok bool) {
	b, err := os.ReadFile(file)
	var data entryData
	if err != nil || json.Unmarshal(b, &data) != nil {
		return "", "", false
	}
	if len(data.Run) < 16 || strings.ContainsAny(data.Run, "/\\.= ") {
		return "", "", false
	}
	if !filepath.IsAbs(data.Dir) || filepath.Base(data.Dir) != dirPrefix+data.Run {
		return data.Run, "", true
	}
	if info, err := os.Lstat(data.Dir); err != nil || !info.IsDir() || !ownedByUs(info) {
		return data.Run, "", true
	}
	return data.Run, data.Dir, true
}

func ofRun(run string) func(id string) bool {
	return func(id string) bool { return strings.HasPrefix(id, run+"/") }
}
