// Package artifacts keeps what a run leaves for people to read: the stacks of
// nodes that hung, for instance. Each test binary has one directory for its
// files, made when there is the first, below the one that [artifacts] of
// distributed.toml names. Old ones are removed when a new one is made.
package artifacts
