package main

import (
	"flag"
	"strings"
	"testing"
)

// TestHelp holds the help of each command against its flags.
func TestHelp(t *testing.T) {
	for _, c := range commands {
		if !strings.HasPrefix(c.long, "usage: dist "+c.name) {
			t.Errorf("the help of %s does not begin with its usage", c.name)
		}
		for _, part := range []string{"\nExamples:\n\n", "\nExit status: "} {
			if !strings.Contains(c.long, part) {
				t.Errorf("the help of %s lacks %q", c.name, strings.TrimSpace(part))
			}
		}
		flags := newFlags(c.name)
		c.setup(flags)
		flags.VisitAll(func(f *flag.Flag) {
			if !strings.Contains(c.long, "-"+f.Name) {
				t.Errorf("the help of %s does not name -%s", c.name, f.Name)
			}
		})
	}
}
