package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/artifacts"
)

// settles is how long what cleans up may take on a busy machine.
const settles = 30 * time.Second

// eventually waits until nothing is to be said.
func eventually(limit time.Duration, look func() []string) []string {
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		left := look()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// processesLeft are those of a round that still live.
func processesLeft(mark string) (left []string) {
	for _, v := range marked(mark) {
		left = append(left, fmt.Sprintf("process %d is left, a %s: %s", v.pid, v.role, v.cmd))
	}
	return left
}

// filesLeft are those that nobody will need any more. A killed go command
// leaves what is its own, and dist test what dist clean removes.
func filesLeft(w *world) (left []string) {
	for _, dir := range []string{w.tmp, filepath.Join(w.cache, "dist", "runs"), filepath.Join(w.cache, "dist", "owners"), filepath.Join(w.cache, "dist", "tests"),
		filepath.Join(w.tmp, "dist-runs-*"), filepath.Join(w.tmp, "dist-owners-*"), filepath.Join(w.tmp, "dist-tests-*")} {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		left = append(left, slices.DeleteFunc(files, func(f string) bool {
			name := filepath.Base(f)
			return strings.HasPrefix(name, ".") || // being made when its process was killed: removed when it is a minute old
				strings.HasPrefix(name, "go-build") || strings.HasPrefix(name, "go.work") ||
				strings.HasPrefix(name, "dist-runs-") || strings.HasPrefix(name, "dist-owners-") || strings.HasPrefix(name, "dist-tests-") || strings.HasPrefix(name, "dist-allowance-") || strings.HasPrefix(name, "dist-builds-")
		})...)
	}
	for i, f := range left {
		left[i] = f + " is left"
	}
	return left
}

// artifactsTooLarge says if what is kept of failures has no bound.
func artifactsTooLarge(w *world) []string {
	var size int64
	filepath.WalkDir(filepath.Join(w.cache, "dist", "artifacts"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	if size > artifacts.MaxBytes {
		return []string{fmt.Sprintf("%d bytes of artifacts are kept", size)}
	}
	return nil
}
