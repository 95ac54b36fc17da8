// Package allowance bounds how many nodes run at once on this machine, over all
// processes of a user that start any.
//
// Room is granted for whole clusters, in the order in which it was asked for. A
// process that holds a cluster already never waits for another one, since those
// who wait for it would wait for ever: it gets more than there is, and is told
// so. A request that is larger than all there is waits until it is alone.
// Idle nodes, which a process has started ahead of time, are counted, are only
// there as long as nobody waits, and are given up when somebody does.
//
// What is shared is a small table in a private directory of the user, changed
// under a file lock, with a line for every process, and a named pipe beside it for
// each (seat_unix.go). A process wakes another one by a byte in its
// pipe. The kernel takes the lock that a process has on its byte of a file when it
// ends in whatever way, and closes its pipe, and whoever finds that removes
// the line: there is nothing to be cleaned up by hand. A table that is cut, or makes no sense, is made anew
// from what the processes know of themselves. Who may have room, and who has to
// wait, is a pure function of the table (table.go).
//
// The files of other users cannot be believed, so on a machine that users share
// each has an allowance of their own.
package allowance
