// Package testutil has what TestMains of several packages share.
package testutil

import (
	"os"
	"testing"

	"github.com/distkit/dist"
)

func Main(m *testing.M) { // want Main:"calls dist.Main"
	os.Exit(run(m))
}

func run(m *testing.M) int { return dist.Main(m) }

func Late(m *testing.M) { // want Late:"calls dist.Main late"
	os.Setenv("DEBUG", "1")
	os.Exit(dist.Main(m))
}
