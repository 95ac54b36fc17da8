// Package lockfile is where processes leave word of themselves for others of the
// same user: small files in a private directory, each of them locked as long as
// whoever it speaks of lives. A file that can be locked is about somebody who
// has ended without removing it.
//
// Nothing that is read here is believed to be what was written: the files may
// be cut, from another version, or somebody else's.
package lockfile
