package othertag

import "testing"

func TestIt(t *testing.T) {}
