// Package usersocket has what Unix sockets need by which processes of one user
// talk to each other, and nobody else: a place whose name is short enough, a
// secret, and who is at the other end.
package usersocket
