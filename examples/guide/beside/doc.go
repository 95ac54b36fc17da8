// Package beside has the home-made harness of package before, and a test on dist's
// clusters beside it: one moves on test by test.
package beside
