package unused

import (
	"os"
	"testing"
)

func TestIt(t *testing.T) {}

func TestMain(m *testing.M) { os.Exit(m.Run()) } // want TestMain:"undiverted"
