// Package process is the embedded engine: a node is the test binary run again,
// as a child of the test process.
//
// What makes a node is an environment variable together with two inherited
// descriptors, both verified and both out of sight before the user's code
// runs: a socket pair, which is the control channel, and the lifeline, a pipe
// nobody writes to. When the test process ends, however it ends, the lifeline
// makes the kernel send SIGKILL to the node's whole process group (on Linux;
// elsewhere the node itself does it, unless it is stopped).
//
// What leaves its process group still carries the run's id in its environment,
// and is found by it: at the end of a lease, by the run's reaper, or by the
// next run. The reaper is one more child, which does nothing but wait for the
// test process to end and then remove what it left. It ends with the run.
package process
