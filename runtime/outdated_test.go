package runtime

import (
	"reflect"
	"testing"
	"time"

	"github.com/distkit/dist/requirement"
)

func TestDirectives(t *testing.T) {
	got := directives([]byte(`//dist:nodes=9 of the file

package kv

// TestOne has one.
//
//dist:nodes=3 ports=a,b // and says why
func TestOne(t *testing.T) {}

//dist:nodes=2

func TestApart(t *testing.T) {}

func TestNone(t *testing.T) {}

//dist:reuse
func BenchmarkLast(b *testing.B) {
	source := ` + "`" + `
//dist:nodes=7
func TestTwice(t *testing.T) {}
` + "`" + `
}

//dist:nodes=8
func TestTwice(t *testing.T) {}
`))
	want := map[string]directive{
		"TestOne":       {[]string{"nodes=3", "ports=a,b"}, 7},
		"BenchmarkLast": {[]string{"reuse"}, 16},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("directives() = %v, want %v", got, want)
	}
}

func TestDiffers(t *testing.T) {
	r := requirement.Requirement{Nodes: 3, Ports: []string{"a", "b"}, Reuse: true, Timeout: 90 * time.Second}
	for want, words := range map[string][]string{
		"":            {"nodes=3", "ports=b,a", "reuse", "timeout=1m30s", "node=4"},
		"nodes=4":     {"nodes=4", "reuse"},
		"min=2":       {"nodes=3", "min=2"},
		"ports=a":     {"ports=a"},
		"program=x":   {"nodes=3", "program=x"},
		"optional":    {"reuse", "optional"},
		"timeout=91s": {"timeout=91s"},
	} {
		if got := differs(words, r); got != want {
			t.Errorf("differs(%q) = %q, want %q", words, got, want)
		}
	}
	if got := differs([]string{"timeout=90s", "reuse"}, r); got != "" {
		t.Errorf("differs() = %q", got)
	}
}
