// Package suite is what the tests of package dist run: a package with
// distributed tests, some of which are meant to fail. It is built as a test
// binary of its own and run in many ways.
package suite

import "context"

// OnlyOnNodes is called on nodes alone, for the coverage that comes from there.
func OnlyOnNodes(n int) int {
	if n%2 == 0 {
		return n / 2
	}
	return 3*n + 1
}

// Hidden holds a function that no generated table names.
var Hidden = func() func(context.Context, int) (int, error) { return hidden }()

func hidden(context.Context, int) (int, error) { return 0, nil }
