package unneeded

import "testing"

func TestIt(t *testing.T) {}
