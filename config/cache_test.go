package config_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestGoTestCache runs go test on a package that loads its configuration, and
// changes what that depends on: the go command must see each change, and
// nothing else may keep it from caching.
func TestGoTestCache(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	repo, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	file := filepath.Join(root, "distributed.toml")
	// The go command does not cache what opened a file younger than two seconds.
	old := time.Now().Add(-time.Hour)
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		old = old.Add(time.Second) // each version its own time
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	copyFile := func(name string, edit func(string) string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil {
			t.Fatal(err)
		}
		put(filepath.Join(root, name), edit(string(data)))
	}
	copyFile("go.sum", func(s string) string { return s })
	copyFile("go.mod", func(s string) string {
		s = strings.Replace(s, "module github.com/distkit/dist", "module example.com/m", 1)
		return s + "\nrequire github.com/distkit/dist v0.0.0\nreplace github.com/distkit/dist => " + strconv.Quote(repo) + "\n"
	})
	put(filepath.Join(root, "p/p_test.go"), `package p

import (
	"testing"

	"github.com/distkit/dist/config"
)

func TestLoad(t *testing.T) {
	if _, err := config.Load("."); err != nil {
		t.Fatal(err)
	}
}
`)
	test := func(env ...string) string {
		t.Helper()
		cmd := exec.Command(goTool, "test", ".")
		cmd.Dir = filepath.Join(root, "p")
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off", "CI=")
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		switch {
		case err != nil && strings.Contains(string(out), "--- FAIL"):
			return "failed"
		case err != nil:
			t.Fatalf("go test: %v\n%s", err, out)
		case strings.Contains(string(out), "(cached)"):
			return "cached"
		}
		return "ran"
	}
	for _, step := range []struct {
		what string
		do   func()
		env  string
		want string
	}{
		{what: "without a file", want: "ran"},
		{what: "again", want: "cached"},
		{what: "a file appears", do: func() { put(file, "[cluster]\nmax_nodes = 5\n") }, want: "ran"},
		{what: "again", want: "cached"},
		{what: "the file changes", do: func() { put(file, "[cluster]\nmax_nodes = 6\n") }, want: "ran"},
		{what: "a nearer file appears", do: func() { put(filepath.Join(root, "p/distributed.toml"), "") }, want: "ran"},
		{what: "again", want: "cached"},
		{what: "a variable", env: "DIST_CLUSTER_MAX_NODES=7", want: "ran"},
		{what: "another value", env: "DIST_CLUSTER_MAX_NODES=8", want: "ran"},
		{what: "again", env: "DIST_CLUSTER_MAX_NODES=8", want: "cached"},
		{what: "a CI service", env: "DRONE=true", want: "ran"},
		{what: "a bad variable", env: "DIST_CLUSTER_MAX_NODES=0", want: "failed"},
		{what: "again", env: "DIST_CLUSTER_MAX_NODES=0", want: "failed"},
		{what: "a bad file", do: func() { put(filepath.Join(root, "p/distributed.toml"), "x = 1") }, want: "failed"},
		{what: "another file", env: "DIST_CONFIG=" + file, want: "ran"},
	} {
		if step.do != nil {
			step.do()
		}
		var env []string
		if step.env != "" {
			env = append(env, step.env)
		}
		if got := test(env...); got != step.want {
			t.Errorf("%s: go test %s, want %s", step.what, got, step.want)
		}
	}
}
