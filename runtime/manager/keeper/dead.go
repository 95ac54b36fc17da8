package keeper

import (
	"os"

	"github.com/distkit/dist/runtime/lockfile"
)

// Dead returns the registry's files of owners that have ended without removing
// theirs. It removes nothing; Records does, and RemoveDead.
func Dead() ([]string, error) { return lockfile.Dead(registry, registrySuffix) }

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
