// Package script is for tests of the commands that run them as users do, in
// modules and with an environment of their own.
package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Offline has the go command do with what is there.
var Offline = []string{"GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off", "GOTOOLCHAIN=local"}

// GoEnv returns variables of the go command's environment, as os.Environ does,
// which a script with a home directory of its own would not find.
func GoEnv(t testing.TB, names ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(strings.TrimRight(string(out), "\r\n"), "\n")
	vars := make([]string, len(names))
	for i, name := range names {
		vars[i] = name + "=" + strings.TrimSpace(values[i])
	}
	return vars
}

// Repository is the directory of this one.
func Repository(t testing.TB) string {
	t.Helper()
	return filepath.Dir(strings.TrimPrefix(GoEnv(t, "GOMOD")[0], "GOMOD="))
}

// WriteModule makes dir the root of a module that requires the repository.
func WriteModule(dir, module, repository string) error {
	sums, err := os.ReadFile(filepath.Join(repository, "go.sum"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o666); err != nil {
		return err
	}
	if strings.ContainsAny(repository, " \t") { // as go.mod has it
		repository = `"` + repository + `"`
	}
	gomod := "module " + module + "\n\ngo 1.26.0\n\nrequire github.com/distkit/dist v0.0.0\n\n" +
		"replace github.com/distkit/dist => " + repository + "\n"
	return os.WriteFile(filepath.Join(dir, "go.mod"), []byte(gomod), 0o666)
}
