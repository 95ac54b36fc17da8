package artifacts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distkit/dist/runtime/artifacts"
)

func TestStore(t *testing.T) {
	base := filepath.Join(t.TempDir(), "a directory")
	var s artifacts.Store
	if _, err := s.Write("x", nil); err == nil {
		t.Error("written to nowhere")
	}
	s.Of(base, "example.com/raft")
	if _, err := os.Stat(base); err == nil {
		t.Error("made before there was anything to keep")
	}
	var names []string
	for i := range 2 {
		name, err := s.Write("TestX/a sub.test.stacks.txt", fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if filepath.Dir(names[0]) != filepath.Dir(names[1]) || filepath.Base(names[0]) != "TestX_a_sub.test.stacks.txt" || filepath.Base(names[1]) != "TestX_a_sub.test.stacks-2.txt" {
		t.Errorf("names: %q", names)
	}
	for i, name := range names {
		if b, err := os.ReadFile(name); err != nil || string(b) != fmt.Sprint(i) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if dir := filepath.Base(filepath.Dir(names[0])); !strings.Contains(dir, "example.com_raft") {
		t.Errorf("directory %q", dir)
	}
	os.RemoveAll(base)
	if _, err := s.Write("again", nil); err != nil {
		t.Error(err)
	}
	if name, err := s.Write("../../"+strings.Repeat("ü", 300)+".txt", nil); err != nil || filepath.Dir(filepath.Dir(name)) != base {
		t.Errorf("%q, %v", name, err)
	}
}

func TestPrune(t *testing.T) {
	base := t.TempDir()
	add := func(name string, size int64, age time.Duration) string {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(create(t, filepath.Join(dir, "stacks.txt")), size); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		for _, name := range []string{filepath.Join(dir, "stacks.txt"), dir} {
			if err := os.Chtimes(name, at, at); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	foreign := add("mine", 200<<20, 90*24*time.Hour)
	recent := add("dist-20200101-000000-p-9", 60<<20, time.Minute)
	var old []string
	for i := range 40 {
		old = append(old, add(fmt.Sprintf("dist-20200101-0000%02d-p-1", i), 1, time.Duration(2+i)*time.Hour))
	}
	artifacts.Prune(base)
	left := 0
	for i, dir := range old {
		_, err := os.Stat(dir)
		if err == nil {
			left++
		}
		if want := i < artifacts.MaxRuns-2; (err == nil) != want {
			t.Errorf("run %d, the newest being 0: there: %v, want %v", i, err == nil, want)
		}
	}
	add("dist-20200101-000000-p-2", 60<<20, 30*24*time.Hour)
	add("dist-20200101-000000-p-3", 30<<20, 90*time.Minute)
	artifacts.Prune(base) // 60 + 30 + few bytes, and 60 that are older than those
	if _, err := os.Stat(filepath.Join(base, "dist-20200101-000000-p-2")); err == nil {
		t.Error("the oldest is there, with 150 MiB in all")
	}
	for _, dir := range []string{foreign, recent, filepath.Join(base, "dist-20200101-000000-p-3")} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
}

func create(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return name
}

func TestSilentRunStaysRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s artifacts.Store
		s.Of(t.TempDir(), "p")
		dir, err := s.Dir()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Hour + time.Minute)
		synctest.Wait()
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if since := time.Since(info.ModTime()); since < 0 || since >= time.Hour {
			t.Errorf("after ten hours the directory is as if something had been added %v ago", since)
		}
	})
}
