package program

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Touch looks at each input of an executable. Go's test cache takes note of
// that if it happens in the test process inside m.Run, and then runs the tests
// again when one of them has changed.
func Touch(inputs []string) {
	for _, name := range inputs {
		os.Stat(name)
	}
}

// sources is what a program is made of, as far as it can change: nothing of the
// standard library nor of the module cache.
type sources struct {
	Name   string           // of the package
	Inputs []string         // files, and the directories that they are in
	Seen   map[string]stamp // what they looked like
}

// A stamp tells whether a file has changed.
type stamp struct {
	Size int64
	Time time.Time
}

func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{}
	}
	s := stamp{info.Size(), info.ModTime()}
	if info.IsDir() {
		s.Size = 0 // that of a directory is the file system's own matter
	}
	return s
}

// sources asks the go command what the program is made of, unless nothing has
// changed since it was asked: a new file changes its directory.
func (b *build) sources(ctx context.Context, dir string) (*sources, error) {
	file := filepath.Join(dir, "sources.json")
	var s sources
	if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &s) == nil && s.unchanged() {
		return &s, nil
	}
	s, err := b.list(ctx)
	if err != nil || s.Name != "main" {
		return &s, err
	}
	s.Seen = make(map[string]stamp, len(s.Inputs))
	for _, name := range s.Inputs {
		seen := stampOf(name)
		if time.Since(seen.Time) < 2*time.Second {
			return &s, nil // it may have changed since, within what the file system's clock resolves
		}
		s.Seen[name] = seen
	}
	if text, err := json.Marshal(&s); err == nil {
		os.WriteFile(file, text, 0o600) // next time it is asked again if that fails
	}
	return &s, nil
}

func (s *sources) unchanged() bool {
	if len(s.Inputs) == 0 {
		return false
	}
	for _, name := range s.Inputs {
		if seen, ok := s.Seen[name]; !ok || !seen.Time.Equal(stampOf(name).Time) || seen.Size != stampOf(name).Size {
			return false
		}
	}
	return true
}

// A listed is what go list says of a package.
type listed struct {
	Dir        string
	ImportPath string
	Name       string
	Standard   bool
	DepOnly    bool
	Error      *struct{ Err string }
	Module     *struct {
		Main    bool
		Dir     string
		GoMod   string
		Replace *struct{ Version, Dir, GoMod string }
	}
	GoFiles, CgoFiles, CFiles, CXXFiles, MFiles, HFiles, FFiles, SFiles, SwigFiles, SwigCXXFiles, SysoFiles, EmbedFiles []string
}

const listFields = "-json=Dir,ImportPath,Name,Standard,DepOnly,Error,Module," +
	"GoFiles,CgoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,EmbedFiles"

// list asks the go command. What it can tell of a program that is broken is in
// the answer too.
func (b *build) list(ctx context.Context) (sources, error) {
	args := append([]string{"list", "-e", "-deps", listFields}, listArgs(b.o.Flags.Args)...)
	cmd := b.command(ctx, append(args, "--", b.p.Package)...)
	out, err := cmd.Output()
	if err != nil {
		return sources{}, err
	}
	files := map[string]bool{}
	add := func(names ...string) {
		for _, name := range names {
			files[name] = true
		}
	}
	var s sources
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return sources{}, err
		}
		if !p.DepOnly {
			s.Name = p.Name
		}
		if !p.local() {
			continue
		}
		add(p.files()...)
		if m := p.Module; m != nil {
			gomod, dir := m.GoMod, m.Dir
			if m.Replace != nil {
				gomod, dir = m.Replace.GoMod, m.Replace.Dir
			}
			add(gomod, existing(dir, "go.sum"), existing(dir, filepath.Join("vendor", "modules.txt")))
		}
	}
	out, err = b.command(ctx, "env", "-json", "GOMOD", "GOWORK").Output()
	var env struct{ GOMOD, GOWORK string }
	if err == nil && json.Unmarshal(out, &env) == nil {
		if dir := filepath.Dir(env.GOMOD); filepath.IsAbs(env.GOMOD) && env.GOMOD != os.DevNull {
			add(env.GOMOD, existing(dir, "go.sum"), existing(dir, filepath.Join("vendor", "modules.txt")))
		}
		if dir := filepath.Dir(env.GOWORK); filepath.IsAbs(env.GOWORK) {
			add(env.GOWORK, existing(dir, "go.work.sum"), existing(dir, filepath.Join("vendor", "modules.txt")))
		}
	}
	delete(files, "")
	for name := range files {
		s.Inputs = append(s.Inputs, name)
	}
	slices.Sort(s.Inputs)
	return s, nil
}

// listArgs are those flags of go build that decide which files are built.
// Others are no flags of go list, or make it compile.
func listArgs(args []string) []string {
	var list []string
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		switch name {
		case "-race", "-msan", "-asan", "-tags":
			list = append(list, arg)
		}
	}
	return list
}

func existing(dir, name string) string {
	if dir == "" {
		return ""
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// local reports whether somebody may edit the package.
func (p *listed) local() bool {
	switch {
	case p.Standard || p.Dir == "":
		return false
	case p.Module == nil: // GOPATH, or vendored
		return !strings.Contains(filepath.ToSlash(p.Dir), "/vendor/")
	case p.Module.Replace != nil:
		return p.Module.Replace.Version == "" && !strings.Contains(filepath.ToSlash(p.Dir), "/vendor/")
	}
	return p.Module.Main
}

// files are those that the package is built from, and its directory, which
// changes with every file that is added. Of a package that the go command finds
// fault with they are all there are.
func (p *listed) files() []string {
	names := []string{p.Dir}
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.HFiles, p.FFiles, p.SFiles, p.SwigFiles, p.SwigCXXFiles, p.SysoFiles, p.EmbedFiles) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(p.Dir, name)
		}
		names = append(names, name)
	}
	if p.Error != nil {
		entries, _ := os.ReadDir(p.Dir)
		for _, e := range entries {
			if e.Type().IsRegular() {
				names = append(names, filepath.Join(p.Dir, e.Name()))
			}
		}
	}
	return names
}
