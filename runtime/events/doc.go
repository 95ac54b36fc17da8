// Package events keeps what a run of distributed tests did, as it happens: one
// JSON object a line, in a file that is there also when the test process is
// killed. docs/events.md has the schema.
//
// A [Recorder] writes: an event is encoded by hand and copied into a mapped
// file, which costs less than a system call. [Read] reads such a file, also one
// that is being written or was cut. The package is a leaf.
package events
