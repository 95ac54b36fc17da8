//go:build !linux && !darwin && !freebsd

package usersocket

import "os"

// peerUser is for systems that do not tell: the directory that the socket is in
// lets nobody else through, and nobody else knows the secret.
func peerUser(int) (int, error) { return os.Geteuid(), nil }
