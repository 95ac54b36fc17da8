// Package namespaces gives every node of a cluster a network of its own, as a
// host has one, and makes faults where the networks meet: whatever protocol the
// nodes speak, and however they have come by each other's addresses.
//
// A process called the switch, which is this binary run again, is the first of a
// user namespace that its user needs no privilege for. In it there is a network
// namespace for each node, with the node's address, and one network between them. The nodes
// are started by the switch, as children of this process. Nothing of it has a
// name in the file system: when the processes have ended, all is gone.
//
// This process stays where it is. What it listens on in front of a node, and the
// sockets that it reaches a node by, are the two ends of a forwarder: a socket
// stays in the namespace that it was made in, wherever its descriptor goes.
//
// A direction is cut by a rule of the receiver's routing that drops what the
// sender sends, so that it is lost on its way, as in a network, and nobody is
// told. What is delayed, slowed down or lost leaves the sender by another device, at
// which the kernel's netem does that; a kernel without one is said to have none.
package namespaces

// Backend is the name by which [network] faults chooses this one.
const Backend = "namespaces"
