//go:build !unix

package diagnostics

func probes(*Failure) []probe { return nil }
