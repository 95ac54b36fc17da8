package config

import (
	"os"
	"testing"
)

// BenchmarkLoad is what the first Require of a test binary pays.
func BenchmarkLoad(b *testing.B) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		b.Fatal(err)
	}
	root := b.TempDir()
	for name, data := range map[string][]byte{"go.mod": nil, FileName: example} {
		if err := os.WriteFile(root+"/"+name, data, 0o666); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := Load(root); err != nil {
			b.Fatal(err)
		}
	}
}
