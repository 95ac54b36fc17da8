// Package forkexec starts processes as os/exec does, and says of one that could
// not be started for the limit of descriptors that it was that.
//
// A child gives its descriptors their numbers before it becomes the program, and
// copies some of them out of the way for that. Where a copy's number is beyond
// the limit (RLIMIT_NOFILE) the kernel says EBADF, which means anything, and not
// EMFILE.
package forkexec
