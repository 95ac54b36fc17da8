// Package program turns a [program.NAME] section and one node's identity into
// a running process that is ready: it builds the program, fills in its
// templates, has an engine start it, waits until it answers, and stops it.
//
// It owns nothing: whoever starts a node by it keeps the node.
package program
