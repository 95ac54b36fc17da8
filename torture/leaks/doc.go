// Package leaks has its test side hold one cluster after another, and looks at
// what stays: goroutines, descriptors, children, files and memory.
//
//	go test ./torture/leaks -args -leases 10000
package leaks
