// Package store tests the server beside it, as the guide describes: the nodes of
// its clusters run the program of distributed.toml.
package store
