package external_test

import (
	"os"
	"testing"

	. "github.com/distkit/dist"
)

func TestDot(t *testing.T) { Require(t, Nodes(3)) }

func TestMain(m *testing.M) { os.Exit(Main(m)) }
