//go:build !linux

package diagnostics

func namespaceSwitches() []Switch { return nil }
