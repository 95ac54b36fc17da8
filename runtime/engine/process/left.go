package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/lockfile"
)

func init() { diagnostics.RunState = runState }

// runState reports whether a run has an entry, and whether there is nobody who
// holds it: then it was killed together with its reaper.
func runState(id string) (known, ended bool) {
	place, err := lockfile.Find(entries)
	if err != nil || id == "" || strings.ContainsAny(id, "/\\.= ") {
		return false, false
	}
	release, err := lockfile.Claim(filepath.Join(place, id+entrySuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return false, false
	}
	if err != nil || release == nil {
		return true, false
	}
	release()
	return true, true
}

// A Leftover is what a run that was killed, together with its reaper, could not
// remove: its entry in the user's state, which nobody holds a lock on, and what
// is named in it and proves to be of that run; or, of one that was killed before
// it had an entry, its directory.
type Leftover struct {
	Run       string   // its id; "" if the entry cannot be read
	Entry     string   // file in the user's state directory; "" if there is none
	Dir       string   // the run's directory; "" if it is not there
	Processes []string // that carry the run's id in their environment, one a line (Linux)
}

// StateDir returns the directory in which runs of this user have entries. It is
// made if it is not there.
func StateDir() (string, error) { return lockfile.Dir(entries) }

// Leftovers looks for what runs of this user have left. It removes nothing: the
// next run does, and [Leftover.Remove].
func Leftovers() ([]Leftover, error) {
	files, err := entryFiles()
	if err != nil {
		return nil, err
	}
	var left []Leftover
	for _, file := range files {
		release, err := lockfile.Claim(file)
		if err != nil || release == nil {
			continue
		}
		l := Leftover{Entry: file}
		if run, dir, ok := readEntry(file); ok {
			l.Run, l.Dir = run, dir
			l.Processes = findProcesses(ofRun(run))
		}
		release()
		left = append(left, l)
	}
	tmp, err := filepath.Abs(os.TempDir())
	if err != nil {
		return left, nil
	}
	for _, dir := range deadDirs(tmp) {
		_, run, _ := strings.Cut(filepath.Base(dir), dirPrefix)
		left = append(left, Leftover{Run: run, Dir: dir, Processes: findProcesses(ofRun(run))})
	}
	return left, nil
}

// Remove ends the processes and removes the files, if they still are nobody's.
// It reports whether they were.
func (l Leftover) Remove() bool {
	if l.Entry == "" {
		return sweepDeadDir(l.Dir)
	}
	return sweepDeadRun(l.Entry)
}
