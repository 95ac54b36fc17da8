//go:build unix

package process

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzEntry reads what a dead run is said to have left. Whatever it says, what
// is removed for it has a name that only this module gives.
func FuzzEntry(f *testing.F) {
	here := f.TempDir()
	const run = "aaaaaaaaaaaaaaaa"
	for _, dir := range []string{dirPrefix + run, "precious", dirPrefix} {
		if err := os.Mkdir(filepath.Join(here, dir), 0o700); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(1, run, dirPrefix+run)
	f.Add(1, run, "precious")
	f.Add(1, "", dirPrefix)
	f.Add(1, "../"+run, dirPrefix+"../"+run)
	f.Add(1, run+"\x00", dirPrefix+run+"\x00")
	f.Fuzz(func(t *testing.T, version int, run, name string) {
		b, err := json.Marshal(entryData{Version: version, Run: run, Dir: here + "/" + name})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "x"+entrySuffix)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, dir, ok := readEntry(file)
		if !ok && (got != "" || dir != "") {
			t.Errorf("%s: %q, %q", b, got, dir)
		}
		if ok && (len(got) < 16 || strings.ContainsAny(got, "/.")) || dir != "" && filepath.Base(dir) != dirPrefix+got {
			t.Errorf("%s: %q, %q", b, got, dir)
		}
	})
}

// FuzzEntryFile is FuzzEntry for files that are no JSON.
func FuzzEntryFile(f *testing.F) {
	f.Add([]byte(`{"Version":1,"Run":"aaaaaaaaaaaaaaaa","Dir":"/"}`))
	f.Add([]byte(`{"run":"aaaaaaaaaaaaaaaa","RUN":"x","Dir":"/tmp/dist-aaaaaaaaaaaaaaaa"}`))
	f.Add([]byte("[[[["))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "x"+entrySuffix)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, dir, ok := readEntry(file); dir != "" && (!ok || filepath.Base(dir) != dirPrefix+got) {
			t.Errorf("%q: %q, %q, %v", b, got, dir, ok)
		}
	})
}
