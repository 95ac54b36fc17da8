package keeper

import (
	"os"

	"github.com/distkit/dist/runtime/lockfile"
)

// Dead returns the registry's files of owners that have ended without removing
// theirs. It removes nothing; Records does, and RemoveDead.
func Dead() ([]string, error) {
	dir, err := lockfile.Dir(registry)
	if err != nil {
		return nil, err
	}
	files, err := lockfile.List(dir, registrySuffix)
	if err != nil {
		return nil, err
	}
	var dead []string
	for _, file := range files {
		if release, err := lockfile.Claim(file); err == nil && release != nil {
			release()
			dead = append(dead, file)
		}
	}
	return dead, nil
}

// RemoveDead removes the file and the socket of an owner, if it still is dead,
// and reports whether it was.
func RemoveDead(file string) bool {
	release, err := lockfile.Claim(file)
	if err != nil || release == nil {
		return false
	}
	defer release()
	record, _ := ReadRecord(file) // whatever it says
	os.Remove(file)
	removeSocket(file, record)
	return true
}
