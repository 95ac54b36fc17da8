package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// writeOverlay writes contents into dir, and a file that tells the go command
// to take them for those of the files that are their keys; a key without
// content is a file that shall not be. It returns the name of that file.
func writeOverlay(dir string, contents map[string][]byte) (string, error) {
	replace := make(map[string]string, len(contents))
	for i, path := range slices.Sorted(maps.Keys(contents)) {
		if contents[path] == nil {
			replace[path] = ""
			continue
		}
		// The base name is kept: build constraints and the analyzer go by it.
		file := filepath.Join(dir, strconv.Itoa(i), filepath.Base(path))
		err := os.Mkdir(filepath.Dir(file), 0o700)
		if err == nil {
			err = os.WriteFile(file, contents[path], 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("write the bootstrap for this run: %w", err)
		}
		replace[path] = file
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return name, nil
}
