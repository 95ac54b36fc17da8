// Package requirement is what bootstraps see of the real one.
package requirement

type Plan struct{ Package, Digest string }
