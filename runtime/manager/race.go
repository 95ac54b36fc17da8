//go:build race

package manager

import (
	"slices"
	"strings"
)

// RaceEnabled reports whether this binary was built with -race.
const RaceEnabled = true

// nodeEnv takes away the second that the race detector otherwise sleeps at the
// end of every process, lest a goroutine be about to race: a node ends once its
// calls have returned and its cleanups have run. An author's own setting stays.
func nodeEnv(env []string) []string {
	const option = "atexit_sleep_ms"
	i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, "GORACE=") })
	if i < 0 {
		return slices.Clip(append(env, "GORACE="+option+"=0")) // shared by all nodes of a cluster
	}
	if strings.Contains(env[i], option) {
		return env
	}
	env = slices.Clone(env)
	env[i] += " " + option + "=0"
	return env
}
