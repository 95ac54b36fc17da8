// Package suite is the half of the measurements that runs inside a test
// binary. Package bench compiles it into the test binary of the package it
// measures with, by an overlay, so that what starts as a node is a binary of the
// weight that users have, and what starts it is its own test side: TestMain,
// Require and all.
//
// One process of that binary plays one role, which its environment names: it
// measures, or it is a bare process, with nothing of ours in it, against which
// is measured.
package suite
