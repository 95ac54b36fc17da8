package generator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2/maybe"
)

// Commit makes the file on disk what it should be. Nobody ever sees it half
// written, where the system can replace files atomically; a file that is right
// already is not touched.
func (f *File) Commit() error {
	if !f.Stale() {
		return nil
	}
	if f.New == nil {
		if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a generated file: %w", err)
		}
		return nil
	}
	if err := maybe.WriteFile(f.Path, f.New, 0o644); err != nil {
		return fmt.Errorf("write a generated file: %w", err)
	}
	return nil
}

func sortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}
