// Package before tests the server of package store by a harness of its own, as
// such harnesses are: the guide shows where one moves on from. See package beside
// for how.
package before
