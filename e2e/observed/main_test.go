//go:build linux

package observed

import (
	"os"
	"testing"

	"github.com/distkit/dist/e2e"
)

func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }
