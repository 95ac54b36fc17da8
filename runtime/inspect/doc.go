// Package inspect has a test binary that runs tell others of the same user what
// its nodes are doing: dist dump asks it.
//
// A [Server] is found by its file in a directory that is its user's alone, which
// is locked as long as the test binary lives; one that is not is removed by
// whoever comes across it. It listens on a Unix socket beside it, and answers
// one question a connection, to whoever is the same user and knows the secret
// that is in the file. Nothing can be changed by asking.
package inspect
