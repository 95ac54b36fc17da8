// Package network hands out the addresses of nodes, so that they are known
// before any node starts, collide with nobody's, and stay the same when a node
// is restarted.
//
// Everything is on loopback. On Linux each node has an address of its own inside
// 127.0.0.0/8, so that all can use the same port, as they would on hosts of
// their own; elsewhere, or by configuration, they share 127.0.0.1 and have
// distinct ports.
//
// Claims are sockets, not files: a process that is killed gives them back at
// once, and they hold between users.
package network
