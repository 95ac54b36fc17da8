// Package etcd tests real etcd servers: the nodes of its clusters run the
// program that distributed.toml describes, built from the version in go.mod.
package etcd
