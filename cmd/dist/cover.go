package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// covered makes a directory for what programs write of their coverage; "" if
// coverage is not asked for. go test has one for each test binary, and leaves out
// of it what other executables have written.
func (r *testRun) covered() (string, error) {
	on := r.line.value("coverprofile") != "" || r.line.value("covermode") != "" || r.line.value("coverpkg") != ""
	if v := r.line.value("cover"); v != "" {
		on = on || v != "false"
	}
	if !on || !r.runsTests() {
		return "", nil
	}
	dir := filepath.Join(r.tmp, "coverage")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a directory for the coverage of programs: %w", err)
	}
	return dir, nil
}

// coverPrograms adds to the profile what programs have written, or says how much
// it is where there is no profile.
func (r *testRun) coverPrograms(dir string) error {
	if dir == "" {
		return nil
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		return err // no program has run
	}
	profile := r.line.value("coverprofile")
	if profile == "" {
		percent, err := covdata("percent", "-i="+dir)
		if err != nil {
			return err
		}
		for line := range strings.Lines(percent) {
			fmt.Fprintf(r.err, "dist: in programs: %s\n", strings.Join(strings.Fields(line), " "))
		}
		return nil
	}
	if out := r.line.value("outputdir"); out != "" && !filepath.IsAbs(profile) {
		profile = filepath.Join(out, profile)
	}
	text := filepath.Join(r.tmp, "programs.out")
	if _, err := covdata("textfmt", "-i="+dir, "-o="+text); err != nil {
		return err
	}
	theirs, err := os.ReadFile(text)
	if err != nil {
		return err
	}
	mode, lines, _ := bytes.Cut(theirs, []byte("\n"))
	f, err := os.OpenFile(profile, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err // go test has written none
	}
	defer f.Close()
	first := make([]byte, len(mode))
	if _, err := f.ReadAt(first, 0); err != nil || !bytes.Equal(first, mode) {
		return fmt.Errorf("%s is of another mode than theirs, %q", profile, mode)
	}
	// Who reads it adds up what it says of a block more than once.
	_, err = f.Write(lines)
	return err
}

// covdata runs go tool covdata.
func covdata(args ...string) (string, error) {
	out, err := exec.Command("go", append([]string{"tool", "covdata"}, args...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("go tool covdata %s: %s", args[0], bytes.TrimSpace(exit.Stderr))
	}
	return string(out), err
}
