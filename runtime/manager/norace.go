//go:build !race

package manager

// RaceEnabled reports whether this binary was built with -race.
const RaceEnabled = false

func nodeEnv(env []string) []string { return env }
