//go:build linux

package program

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
)

// module writes files into a new directory, which has a space in its name.
func module(t testing.TB, files map[string]string) string {
	dir := filepath.Join(t.TempDir(), "a module")
	write(t, dir, files)
	return dir
}

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ownCache keeps the builds of a test to itself, and go build fast.
func ownCache(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(out)))
	t.Setenv("GOWORK", "")
	t.Setenv("GOFLAGS", "")
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	return filepath.Join(cache, "dist", "build")
}

// old makes files look as if nobody had touched them for a while.
func old(t testing.TB, dir string) {
	then := time.Now().Add(-time.Hour)
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, then, then))
	})
}

const (
	goMod = "module example.com/kv\n\ngo 1.26\n"
	main  = "package main\n\nimport (\n\t_ \"embed\"\n\t\"example.com/kv/store\"\n)\n\n//go:embed words.txt\nvar words string\n\nfunc main() { println(words + store.Name) }\n"
)

func files() map[string]string {
	return map[string]string{
		"go.mod": goMod, "cmd/kv/main.go": main, "cmd/kv/words.txt": "hello ", "store/store.go": "package store\n\nconst Name = \"store\"\n",
		"store/store_test.go": "package store\n", "other/other.go": "package other\n",
	}
}

func mustBuild(t testing.TB, p *config.Program, o Options) *Executable {
	t.Helper()
	x, err := Build(t.Context(), p, o)
	if err != nil {
		t.Fatal(explain(err))
	}
	return x
}

func says(t testing.TB, x *Executable) string {
	t.Helper()
	out, err := exec.Command(x.Path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// relative is the inputs below dir.
func relative(dir string, inputs []string) (rel []string) {
	for _, name := range inputs {
		if r, err := filepath.Rel(dir, name); err == nil {
			name = r
		}
		rel = append(rel, name)
	}
	slices.Sort(rel)
	return rel
}

func TestBuild(t *testing.T) {
	ownCache(t)
	dir := module(t, files())
	old(t, dir)
	p := &config.Program{Name: "kv", Package: "./cmd/kv"}
	o := Options{Dir: dir}
	first := mustBuild(t, p, o)
	if got := says(t, first); got != "hello store" {
		t.Errorf("it says %q", got)
	}
	want := []string{"cmd/kv", "cmd/kv/main.go", "cmd/kv/words.txt", "go.mod", "store", "store/store.go"}
	if diff := cmp.Diff(want, relative(dir, first.Inputs)); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	before, err := os.Stat(first.Path)
	if err != nil {
		t.Fatal(err)
	}

	again := mustBuild(t, p, o)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("built again (-first +again):\n%s", diff)
	}
	if after, err := os.Stat(first.Path); err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("nothing has changed, and it is another file: %v", err)
	}

	write(t, dir, map[string]string{"cmd/kv/words.txt": "good bye "})
	changed := mustBuild(t, p, o)
	if changed.Key == first.Key || says(t, changed) != "good bye store" {
		t.Errorf("an embedded file has changed; the key is %s, was %s, and it says %q", changed.Key, first.Key, says(t, changed))
	}
	if says(t, first) != "hello store" {
		t.Error("a node that is restarted runs another program")
	}
	write(t, dir, map[string]string{"store/more.go": "package store\n\nfunc init() { println(\"more\") }\n"})
	more := mustBuild(t, p, o)
	if more.Key == changed.Key || !slices.Contains(relative(dir, more.Inputs), "store/more.go") {
		t.Errorf("a new file changes nothing: %+v", more)
	}
	write(t, dir, files())
	os.Remove(filepath.Join(dir, "store", "more.go"))
	if back := mustBuild(t, p, o); back.Key != first.Key || back.Path != first.Path {
		t.Errorf("all is as it was, and the key is %s, was %s", back.Key, first.Key)
	}
}

// TestBuildNothing: where nothing has changed, the go command is not even asked
// to build.
func TestBuildNothing(t *testing.T) {
	ownCache(t)
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	bin, asked := t.TempDir(), filepath.Join(t.TempDir(), "asked")
	write(t, bin, map[string]string{"go": fmt.Sprintf("#!/bin/sh\necho $1 >> %q\nexec %q \"$@\"\n", asked, real)})
	if err := os.Chmod(filepath.Join(bin, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := module(t, files())
	write(t, dir, map[string]string{
		"store/store.go": "package store\n\nconst Name = \"one\"\n", "cmd/kv/static/a/b/c.txt": "",
	})
	write(t, dir, map[string]string{"cmd/kv/main.go": "package main\n\nimport (\n\t\"embed\"\n\n\t\"example.com/kv/store\"\n)\n\n//go:embed static\nvar static embed.FS\n\nfunc main() {\n\tfiles, _ := static.ReadDir(\"static/a/b\")\n\tprintln(store.Name, len(files))\n}\n"})
	old(t, dir)
	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	expect := func(what, says string, building bool, env ...string) {
		t.Helper()
		os.Remove(asked)
		x := mustBuild(t, &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: dir, Env: env})
		text, _ := os.ReadFile(asked)
		if built := slices.Contains(strings.Fields(string(text)), "build"); built != building {
			t.Errorf("%s: go build was run: %v", what, built)
		}
		out, err := exec.Command(x.Path).CombinedOutput()
		if strings.TrimSpace(string(out)) != says || err != nil {
			t.Errorf("%s: it says %q, %v; want %q", what, out, err, says)
		}
	}
	touch := func(name string, age time.Duration) {
		if err := os.Chtimes(filepath.Join(dir, name), time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	expect("first", "one 1", true, env...)
	expect("nothing", "one 1", false, env...)
	expect("variable", "one 1", true, append(env, "GOFLAGS=-ldflags=-w")...)
	write(t, dir, map[string]string{"store/store.go": "package store\n\nconst Name = \"two\"\n"})
	touch("store/store.go", time.Minute)
	expect("source", "two 1", true, env...)
	expect("nothing again", "two 1", false, env...)
	write(t, dir, map[string]string{"cmd/kv/static/a/b/d.txt": ""})
	touch("cmd/kv/static/a/b", time.Minute)
	touch("cmd/kv/static/a/b/d.txt", time.Minute)
	expect("new embedded file", "two 2", true, env...)
	expect("nothing once more", "two 2", false, env...)
	write(t, dir, map[string]string{"store/store.go": "package store\n\nconst Name = 3\n"})
	if _, err := Build(t.Context(), &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: dir, Env: env}); err != nil {
		t.Fatal(explain(err)) // println takes numbers
	}
	write(t, dir, map[string]string{"store/store.go": "package store\n\nconst Name = three\n"})
	touch("store/store.go", time.Minute)
	for range 2 {
		_, err := Build(t.Context(), &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: dir, Env: env})
		wantError(t, err, diagnostics.ProgramBuild, "undefined: three")
	}
	// Just edited: the clock of the file system may not tell it from an edit to come.
	write(t, dir, map[string]string{"store/store.go": "package store\n\nconst Name = \"four\"\n"})
	expect("fresh", "four 2", true, env...)
	expect("still fresh", "four 2", true, env...)
}

// TestBuildBroken: what a program that does not build is made of is known all
// the same, so that the next run of the test is not answered from the cache.
func TestBuildBroken(t *testing.T) {
	ownCache(t)
	tests := []struct {
		name, pkg string
		files     map[string]string
		texts     []string
		inputs    []string
	}{
		{"type error", "./cmd/kv", map[string]string{"store/store.go": "package store\n\nconst Name = undefinedName\n"},
			[]string{"cause: store/store.go:3:14: undefined: undefinedName", "go build of ./cmd/kv failed", "# example.com/kv/store"},
			[]string{"cmd/kv/main.go", "cmd/kv/words.txt", "store/store.go", "go.mod"}},
		{"syntax error", "./cmd/kv", map[string]string{"store/store.go": "package store\n\nconst Name = \n}\n"},
			[]string{"store/store.go:4:1: syntax error"}, []string{"cmd/kv/main.go", "store/store.go", "go.mod"}},
		{"missing file", "./cmd/kv", map[string]string{"cmd/kv/main.go": strings.Replace(main, "words.txt", "word.txt", 1)},
			[]string{"pattern word.txt: no matching files found"}, []string{"cmd/kv", "cmd/kv/main.go", "go.mod"}},
		{"missing import", "./cmd/kv", map[string]string{"store/store.go": "package store\n\nimport _ \"example.com/nowhere\"\n\nconst Name = \"\"\n"},
			[]string{"no required module provides package example.com/nowhere", "go get example.com/nowhere"}, []string{"store/store.go", "go.mod"}},
		{"missing package", "./cmd/vk", nil, []string{"cmd/vk", "directory not found"}, []string{"go.mod"}},
		{"missing module", "example.com/server", nil, []string{"no required module provides package example.com/server", "go get example.com/server"}, []string{"go.mod"}},
		{"library", "./store", nil, []string{"./store is package store, not main"}, []string{"store/store.go", "go.mod"}},
		{"broken go.mod", "./cmd/kv", map[string]string{"go.mod": "modul x\n"}, []string{"go.mod:1: unknown directive: modul"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := module(t, files())
			write(t, dir, test.files)
			x, err := Build(t.Context(), &config.Program{Name: "kv", Package: test.pkg}, Options{Dir: dir})
			wantError(t, err, diagnostics.ProgramBuild, test.texts...)
			if x == nil {
				t.Fatal("no inputs")
			}
			got := relative(dir, x.Inputs)
			for _, name := range test.inputs {
				if !slices.Contains(got, name) {
					t.Errorf("%s is no input; these are: %q", name, got)
				}
			}
		})
	}
}

func TestBuildWhere(t *testing.T) {
	lib := map[string]string{"lib/go.mod": "module example.com/lib\n\ngo 1.26\n", "lib/lib.go": "package lib\n\nconst Name = \"lib\"\n"}
	server := "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Name) }\n"
	require := "\nrequire example.com/lib v0.0.0\n"
	tests := []struct {
		name, dir, pkg string
		files          map[string]string
		inputs         []string
	}{
		{"replaced module", "kv", "./server", map[string]string{"kv/go.mod": goMod + require + "\nreplace example.com/lib => ../lib\n", "kv/server/main.go": server},
			[]string{"kv/go.mod", "kv/server", "kv/server/main.go", "lib", "lib/go.mod", "lib/lib.go"}},
		{"workspace", "kv", "./server", map[string]string{"go.work": "go 1.26\n\nuse ./kv\nuse ./lib\n", "kv/go.mod": goMod, "kv/server/main.go": server},
			[]string{"go.work", "kv/go.mod", "kv/server", "kv/server/main.go", "lib", "lib/go.mod", "lib/lib.go"}},
		{"vendored", "kv", "./server", map[string]string{"kv/go.mod": goMod + require, "kv/server/main.go": server,
			"kv/vendor/modules.txt": "# example.com/lib v0.0.0\n## explicit; go 1.26\nexample.com/lib\n", "kv/vendor/example.com/lib/lib.go": "package lib\n\nconst Name = \"lib\"\n"},
			[]string{"kv/go.mod", "kv/server", "kv/server/main.go", "kv/vendor/modules.txt"}},
		{"other module's command", "kv", "example.com/lib/cmd/lib", map[string]string{"kv/go.mod": goMod + require + "\nreplace example.com/lib => ../lib\n", "kv/kv.go": "package kv\n",
			"lib/cmd/lib/main.go": server},
			[]string{"kv/go.mod", "lib", "lib/cmd/lib", "lib/cmd/lib/main.go", "lib/go.mod", "lib/lib.go"}},
		{"root of the module", "kv", ".", map[string]string{"kv/go.mod": goMod, "kv/main.go": "package main\n\nfunc main() { println(\"lib\") }\n"},
			[]string{"kv", "kv/go.mod", "kv/main.go"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ownCache(t)
			dir := module(t, lib)
			write(t, dir, test.files)
			x := mustBuild(t, &config.Program{Name: "lib", Package: test.pkg}, Options{Dir: filepath.Join(dir, test.dir)})
			if got := says(t, x); got != "lib" {
				t.Errorf("it says %q", got)
			}
			if diff := cmp.Diff(test.inputs, relative(dir, x.Inputs)); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBuildAsTests has builds with other flags beside each other.
func TestBuildAsTests(t *testing.T) {
	ownCache(t)
	dir := module(t, map[string]string{
		"go.mod":  goMod,
		"main.go": "package main\n\nvar word = \"plain\"\n\nfunc main() { println(word) }\n",
		"race.go": "//go:build race\n\npackage main\n\nfunc init() { word = \"race\" }\n",
		"tag.go":  "//go:build integration\n\npackage main\n\nfunc init() { word = \"tag\" }\n",
	})
	p := &config.Program{Name: "kv", Package: "."}
	settings := func(x *Executable) map[string]string {
		info, err := buildinfo.ReadFile(x.Path)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for _, s := range info.Settings {
			m[s.Key] = s.Value
		}
		return m
	}
	keys := map[string]bool{}
	for _, test := range []struct {
		flags Flags
		says  string
		key   string
		value string
	}{
		{flagsOf([]debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}}, ""), "plain", "CGO_ENABLED", "0"},
		{flagsOf([]debug.BuildSetting{{Key: "-race", Value: "true"}}, ""), "race", "-race", "true"},
		{flagsOf([]debug.BuildSetting{{Key: "-tags", Value: "integration"}, {Key: "-ldflags", Value: "-s -w"}}, ""), "tag", "-ldflags", "-s -w"},
		{flagsOf(nil, "atomic"), "plain", "-cover", "true"},
	} {
		x := mustBuild(t, p, Options{Dir: dir, Flags: test.flags})
		cmd := exec.Command(x.Path)
		cmd.Env = append(os.Environ(), "GOCOVERDIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != test.says {
			t.Errorf("built with %v it says %q, %v; want %q", test.flags, out, err, test.says)
		}
		if got := settings(x)[test.key]; got != test.value {
			t.Errorf("built with %v its %s is %q", test.flags, test.key, got)
		}
		keys[x.Key] = true
	}
	if len(keys) != 4 {
		t.Errorf("%d different keys of 4 builds", len(keys))
	}
}

func TestTestFlags(t *testing.T) {
	got := flagsOf([]debug.BuildSetting{
		{Key: "-buildmode", Value: "exe"}, {Key: "-compiler", Value: "gc"}, {Key: "-race", Value: "true"}, {Key: "-tags", Value: "a,b"}, {Key: "-trimpath", Value: "true"},
		{Key: "-gcflags", Value: "all=-N -l"}, {Key: "-cover", Value: "true"}, {Key: "DefaultGODEBUG", Value: "x=1"}, {Key: "CGO_ENABLED", Value: "1"}, {Key: "CGO_CFLAGS", Value: ""},
		{Key: "GOARCH", Value: "arm64"}, {Key: "GOOS", Value: "linux"}, {Key: "GOARM64", Value: "v8.0"}, {Key: "vcs.revision", Value: "1"},
	}, "set")
	want := Flags{
		Args: []string{"-race=true", "-tags=a,b", "-trimpath=true", "-gcflags=all=-N -l", "-cover", "-covermode=set"},
		Env:  []string{"CGO_ENABLED=1", "CGO_CFLAGS=", "GOARCH=arm64", "GOOS=linux", "GOARM64=v8.0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	own := TestFlags(testing.CoverMode())
	if !slices.ContainsFunc(own.Env, func(kv string) bool { return strings.HasPrefix(kv, "GOARCH=") }) {
		t.Errorf("the flags of this test binary have no GOARCH: %v", own)
	}
	if _, err := Build(t.Context(), &config.Program{Name: "kv", Package: "."}, Options{Dir: module(t, map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() {}\n"}), Flags: own}); err != nil {
		t.Errorf("go build does not take them: %s", explain(err))
	}
}

// TestBuildTogether has processes that all want the same build, and one that is
// killed while it builds.
func TestBuildTogether(t *testing.T) {
	builds := ownCache(t)
	dir := module(t, files())
	child := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], dir)
		cmd.Env = append(os.Environ(), "PROGRAM_TEST_ROLE=build")
		cmd.Stderr = os.Stderr
		return cmd
	}
	doomed := child()
	if err := doomed.Start(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if locks, _ := filepath.Glob(filepath.Join(glob(builds), "*", "lock")); len(locks) > 0 {
			break
		}
		if time.Since(begin) > patience {
			t.Fatal("it does not begin")
		}
	}
	doomed.Process.Kill()
	doomed.Wait()
	var wg sync.WaitGroup
	outs := make([]string, 5)
	for i := range outs {
		wg.Go(func() {
			out, err := child().Output()
			if err != nil {
				t.Error(err)
			}
			outs[i] = string(out)
		})
	}
	wg.Wait()
	for _, out := range outs {
		if out != outs[0] || !strings.Contains(out, "hello store") {
			t.Errorf("one says %q, another %q", outs[0], out)
		}
	}
}

// playBuild is a process that builds and runs a program.
func playBuild(dir string) {
	x, err := Build(context.Background(), &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: dir})
	if err != nil {
		fmt.Println(explain(err))
		os.Exit(1)
	}
	out, err := exec.Command(x.Path).CombinedOutput()
	fmt.Println(x.Key, x.Path, string(bytes.TrimSpace(out)), err)
}

func TestBuildWithoutCache(t *testing.T) {
	ownCache(t)
	t.Setenv("XDG_CACHE_HOME", "/dev/null/cache")
	e := newEngine(t)
	x := mustBuild(t, &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: module(t, files()), Root: e.Root})
	root, err := e.Root()
	if err != nil || !strings.HasPrefix(x.Path, root+"/") || says(t, x) != "hello store" {
		t.Errorf("built as %s; the engine's root is %s, %v", x.Path, root, err)
	}
}

// A go command that the system does not start says nothing of the program.
func TestBuildNotStarted(t *testing.T) {
	ownCache(t)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("\x7f"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := module(t, files())
	_, err := Build(t.Context(), &config.Program{Name: "kv", Package: "./kv"}, Options{Dir: dir, Env: append(os.Environ(), "PATH="+bin)})
	wantError(t, err, diagnostics.ExecFormat, "start the go command")
}

func TestBuildCancelled(t *testing.T) {
	ownCache(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: module(t, files())}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
}

func TestPrune(t *testing.T) {
	all := t.TempDir()
	now := time.Now()
	key := func(c string) string { return strings.Repeat(c, 32) }
	for name, age := range map[string]time.Duration{
		"stale-1/" + key("a"): keepBuilds + time.Hour, "busy-1/" + key("a"): keepBuilds + time.Hour,
		"kv-1/" + key("a"): time.Minute, "kv-1/" + key("b"): keepOutputs + time.Hour, "kv-1/" + key("c"): time.Hour, "kv-1/no-output": keepBuilds,
		"idle-1/" + key("a"): keepOutputs + time.Hour,
	} {
		dir := filepath.Join(all, name)
		if err := writable(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(dir, now.Add(-age), now.Add(-age))
	}
	for name, age := range map[string]time.Duration{"stale-1": keepBuilds + time.Hour, "busy-1": keepBuilds + time.Hour, "kv-1": time.Minute, "idle-1": keepOutputs + time.Hour} {
		os.Chtimes(filepath.Join(all, name), now.Add(-age), now.Add(-age))
	}
	unlock := lockBuild(t, filepath.Join(all, "busy-1"))
	defer unlock()
	prune(all, now)
	var left []string
	for _, dir := range []string{"*", "*/*"} {
		names, _ := filepath.Glob(filepath.Join(all, dir))
		left = append(left, relative(all, names)...)
	}
	left = slices.DeleteFunc(left, func(name string) bool { return strings.HasSuffix(name, "/lock") })
	want := []string{"busy-1", "idle-1", "kv-1", "busy-1/" + key("a"), "idle-1/" + key("a"), "kv-1/" + key("a"), "kv-1/" + key("c"), "kv-1/no-output"}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestCommand(t *testing.T) {
	dir := module(t, map[string]string{"bin/kv": "#!/bin/sh\necho one\n", "text": "no program"})
	kv := filepath.Join(dir, "bin", "kv")
	if err := os.Chmod(kv, 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=/nowhere:relative:" + dir + ":" + filepath.Dir(kv)}
	for _, name := range []string{kv, "./bin/kv", "kv"} {
		x := mustBuild(t, &config.Program{Name: "kv", Command: []string{name}}, Options{Dir: dir, Env: env})
		if x.Path != kv || !slices.Equal(x.Inputs, []string{kv}) || says(t, x) != "one" {
			t.Errorf("%s is %+v", name, x)
		}
		write(t, dir, map[string]string{"bin/kv": "#!/bin/sh\necho " + name + "\n"})
		if other := mustBuild(t, &config.Program{Name: "kv", Command: []string{name}}, Options{Dir: dir, Env: env}); other.Key == x.Key {
			t.Error("it has changed, and its key has not")
		}
		write(t, dir, map[string]string{"bin/kv": "#!/bin/sh\necho one\n"})
	}
	for name, want := range map[string]struct {
		code diagnostics.Code
		text string
	}{
		"vk": {diagnostics.ExecNotFound, "vk"}, "./vk": {diagnostics.ExecNotFound, filepath.Join(dir, "vk")},
		"./text": {diagnostics.ExecPermission, "permission denied"}, "text": {diagnostics.ExecPermission, filepath.Join(dir, "text")},
		"./bin": {diagnostics.ExecPermission, "bin"},
	} {
		_, err := Build(t.Context(), &config.Program{Name: "kv", Command: []string{name}}, Options{Dir: dir, Env: env})
		wantError(t, err, want.code, want.text)
	}
}

// TestStartFails is about files that cannot be started.
func TestStartFails(t *testing.T) {
	s := spec(t, "silent", nil)
	file := filepath.Join(t.TempDir(), "kv")
	if err := os.WriteFile(file, []byte("\x7fELF nonsense"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Executable = &Executable{Path: file}
	_, err := Start(t.Context(), newEngine(t), s)
	wantError(t, err, diagnostics.ExecFormat, "exec format error")
	s.Executable = &Executable{Path: file + "x"}
	_, err = Start(t.Context(), newEngine(t), s)
	wantError(t, err, diagnostics.ExecNotFound, file+"x")
	s.Program.Args = []string{"{{index .Nodes 3}}"}
	_, err = Start(t.Context(), newEngine(t), s)
	wantError(t, err, diagnostics.ConfigInvalid, "program.kv.args, for node-1, asks for element 3 of 1")
}

func lockBuild(t testing.TB, dir string) (unlock func()) {
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return func() { lock.Close() }
}

// TestTestCache has Go's test cache answer as long as the program is the same,
// and not any longer, although somebody else has built it.
func TestTestCache(t *testing.T) {
	ownCache(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, list := module(t, files()), filepath.Join(t.TempDir(), "inputs")
	write(t, dir, map[string]string{
		"go.mod":  strings.Replace(goMod, "1.26", "1.26.0", 1),
		"go.work": fmt.Sprintf("go 1.26.0\n\nuse %q\nuse .\n", root),
		"kv_test.go": fmt.Sprintf(`package kv

import (
	"os"
	"strings"
	"testing"

	"github.com/distkit/dist/runtime/program"
)

func Test(t *testing.T) {
	inputs, err := os.ReadFile(%q)
	if err != nil {
		t.Fatal(err)
	}
	program.Touch(strings.Split(string(inputs), "\n"))
}
`, list),
	})
	clock := time.Now().Add(-24 * time.Hour)
	touch := func(path string, at time.Time) {
		if err := os.Chtimes(path, at, at); err != nil {
			t.Error(err)
		}
	}
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		touch(path, clock)
		return err
	})
	cached := func() bool {
		x := mustBuild(t, &config.Program{Name: "kv", Package: "./cmd/kv"}, Options{Dir: dir})
		if err := os.WriteFile(list, []byte(strings.Join(x.Inputs, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "test", ".")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.Contains(string(out), "(cached)")
	}
	if first, second := cached(), cached(); first || !second {
		t.Errorf("cached at first: %v, then: %v", first, second)
	}
	for name, file := range map[string]struct{ path, text string }{
		"a source":         {"store/store.go", "package store\n\nconst Name = \"changed\"\n"},
		"an embedded file": {"cmd/kv/words.txt", "changed"},
		"a new file":       {"store/new.go", "package store\n\nfunc init() { println(\"changed\") }\n"},
		"go.mod":           {"go.mod", goMod + "\n// changed\n"},
	} {
		write(t, dir, map[string]string{file.path: file.text})
		// Later than it was, but not so lately that the go command distrusts it.
		clock = clock.Add(time.Minute)
		touch(filepath.Join(dir, file.path), clock)
		if name == "a new file" {
			touch(filepath.Dir(filepath.Join(dir, file.path)), clock)
		}
		if cached() {
			t.Errorf("%s has changed, and the cache answers", name)
		}
		if !cached() {
			t.Errorf("nothing has changed since %s, and the test ran", name)
		}
	}
	write(t, dir, map[string]string{"other/other.go": "package other\n\nconst Changed = 1\n"})
	if !cached() {
		t.Error("the test ran because of a package that the program does not have")
	}
}
