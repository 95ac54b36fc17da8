// Package links injects network faults without the help of the system: the
// address under which a node is reached is a proxy in this process, in front of
// the one the node binds. It works where nothing else does, without any
// privilege, and with what the nodes speak over TCP and UDP, whatever it is.
//
// A proxy must know which node a connection comes from. The source address does
// not say so: on loopback it is 127.0.0.1 for everybody. The kernel says which
// socket is at the other end, and /proc which process has that socket open
// (Linux).
//
// Bytes of a connection are held up, never lost: a cut that is healed looks to both ends like a
// network that was away for a while, after which TCP has sent again what had not
// arrived. What a proxy cannot do is to keep the dialler's kernel from answering:
// a connection across a cut is accepted at once, and then nothing comes of it.
//
// Datagrams are lost where they cannot pass. One that a node sends from what it
// binds is sent on from that node's address, so that its source is the one that
// others know; any other socket is stood in for by one here, as a router that
// translates addresses does.
package links
