package program

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// OldBuilds returns the directories, in the user's cache, of builds that nobody
// has used for long. A later build would remove them, and so does RemoveOld.
func OldBuilds() []string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return oldBuilds(filepath.Join(cache, "dist", "build"), time.Now())
}

// RemoveOld removes what OldBuilds has returned, unless it is being built anew.
// It reports whether it has.
func RemoveOld(path string) bool { return removeOld(path) }

// oldBuilds finds, in the directory of all builds, those that nobody has used for
// long, and what others were before their sources changed.
func oldBuilds(all string, now time.Time) (paths []string) {
	builds, err := os.ReadDir(all)
	if err != nil {
		return nil
	}
	for _, d := range builds {
		dir := filepath.Join(all, d.Name())
		info, err := d.Info()
		if err != nil || !info.IsDir() {
			continue
		}
		if now.Sub(info.ModTime()) > keepBuilds {
			if release := claimBuild(dir); release != nil {
				release()
				paths = append(paths, dir)
			}
			continue
		}
		outputs, _ := filepath.Glob(filepath.Join(glob(dir), strings.Repeat("[0-9a-f]", 32)))
		newest := time.Time{}
		for _, o := range outputs {
			if info, err := os.Stat(o); err == nil && info.ModTime().After(newest) {
				newest = info.ModTime()
			}
		}
		for _, o := range outputs {
			if info, err := os.Stat(o); err == nil && info.ModTime().Before(newest) && now.Sub(info.ModTime()) > keepOutputs {
				paths = append(paths, o)
			}
		}
	}
	return paths
}

func removeOld(path string) bool {
	if _, err := os.Stat(filepath.Join(path, "lock")); err == nil { // all of a build
		release := claimBuild(path)
		if release == nil {
			return false
		}
		defer release()
	}
	return os.RemoveAll(path) == nil
}

// claimBuild keeps others from building in a directory; nil if somebody is.
func claimBuild(dir string) (release func()) {
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil
	}
	return func() { lock.Close() }
}
