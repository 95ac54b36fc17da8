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

	"github.com/distkit/dist/runtime/forkexec"
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
	Env    string           // what the go command said of its environment

	vendored bool // there are packages that Seen does not cover
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

const sourcesFile = "sources.json"

// readSources is what a build has been made from.
func readSources(dir string) (s sources) {
	text, err := os.ReadFile(filepath.Join(dir, sourcesFile))
	if err != nil || json.Unmarshal(text, &s) != nil {
		return sources{}
	}
	return s
}

// note writes down what a build has been made from that began at a time, unless
// something may have been edited meanwhile, within what the file system's clock
// resolves.
func (s *sources) note(dir string, begin time.Time) {
	file := filepath.Join(dir, sourcesFile)
	os.Remove(file)
	if s.vendored {
		return
	}
	s.Seen = make(map[string]stamp, len(s.Inputs))
	for _, name := range s.Inputs {
		seen := stampOf(name)
		if begin.Sub(seen.Time) < 2*time.Second {
			return
		}
		s.Seen[name] = seen
	}
	if text, err := json.Marshal(s); err == nil {
		os.WriteFile(file, text, 0o600) // if that fails, the go command is asked again
	}
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

// A goEnv is what the go command goes by here.
type goEnv struct {
	text      string // all of it
	mod, work string // GOMOD, GOWORK
}

func (b *build) environment(ctx context.Context) (*goEnv, error) {
	out, err := b.command(ctx, "env", "-json").Output()
	var vars map[string]string
	if err == nil {
		err = json.Unmarshal(out, &vars)
	}
	if err != nil {
		return nil, err
	}
	delete(vars, "GOGCCFLAGS") // made of the others, and names a temporary directory
	text, err := json.Marshal(vars)
	return &goEnv{string(text), vars["GOMOD"], vars["GOWORK"]}, err
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
func (b *build) list(ctx context.Context, env *goEnv) (*sources, error) {
	args := append([]string{"list", "-e", "-deps", listFields}, listArgs(b.o.Flags.Args)...)
	cmd := b.command(ctx, append(args, "--", b.p.Package)...)
	out, err := cmd.Output()
	if err != nil {
		return nil, forkexec.Explain(err, 3)
	}
	files := map[string]bool{}
	add := func(names ...string) {
		for _, name := range names {
			files[name] = true
		}
	}
	s := &sources{Env: env.text}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if !p.DepOnly {
			s.Name = p.Name
		}
		if !p.local() {
			s.vendored = s.vendored || !p.Standard && p.vendored()
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
	if dir := filepath.Dir(env.mod); filepath.IsAbs(env.mod) && env.mod != os.DevNull {
		add(env.mod, existing(dir, "go.sum"), existing(dir, filepath.Join("vendor", "modules.txt")))
	}
	if dir := filepath.Dir(env.work); filepath.IsAbs(env.work) {
		add(env.work, existing(dir, "go.work.sum"), existing(dir, filepath.Join("vendor", "modules.txt")))
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
	case p.Module == nil: // GOPATH
		return !p.vendored()
	case p.Module.Replace != nil:
		return p.Module.Replace.Version == "" && !p.vendored()
	}
	return p.Module.Main
}

func (p *listed) vendored() bool { return strings.Contains(filepath.ToSlash(p.Dir), "/vendor/") }

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
	for _, name := range p.EmbedFiles { // a directory can be embedded as a whole
		for dir := filepath.Dir(name); dir != "." && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			names = append(names, filepath.Join(p.Dir, dir))
		}
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
