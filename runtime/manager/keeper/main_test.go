package keeper

import (
	"os"
	"testing"

	"github.com/distkit/dist/config"
)

// The test binary plays all parts: the tests, owners, clients, and what nodes
// run.
const envRole = "DIST_TEST_ROLE"

func TestMain(m *testing.M) {
	os.Exit(m.Run())
}

func testProgram() *config.Program {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return &config.Program{
		Name: "kv", Command: []string{self}, Env: map[string]string{envRole: "program"}, Ports: []string{"main"},
		Args:  []string{`{{.Listen "main"}}`, `{{.Dir}}`},
		Ready: config.Ready{TCP: "main"}, Stop: config.Stop{Signal: "SIGTERM"}, Reset: config.Reset{Mode: "restart"},
	}
}
