package program

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/forkexec"
)

// Flags are what go build is given, so that a program is built as the tests are.
type Flags struct {
	Args []string `json:"args,omitempty"` // "-race", "-tags=integration"
	Env  []string `json:"env,omitempty"`  // "CGO_ENABLED=0"
}

// TestFlags returns the flags that this test binary was built with. Its cover
// mode is testing.CoverMode().
func TestFlags(coverMode string) Flags {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return flagsOf(nil, coverMode)
	}
	return flagsOf(info.Settings, coverMode)
}

// Has reports whether a boolean flag is on: "-race", "-cover".
func (f Flags) Has(name string) bool {
	return slices.Contains(f.Args, name) || slices.Contains(f.Args, name+"=true")
}

func flagsOf(settings []debug.BuildSetting, coverMode string) Flags {
	var f Flags
	for _, s := range settings {
		switch {
		case s.Key == "-compiler" || s.Key == "-cover" || s.Key == "-covermode" || s.Key == "-pgo":
		case s.Key == "-buildmode" && s.Value == "exe":
		case strings.HasPrefix(s.Key, "-"):
			f.Args = append(f.Args, s.Key+"="+s.Value)
		case s.Key == "CGO_ENABLED" || strings.HasPrefix(s.Key, "CGO_") || strings.HasPrefix(s.Key, "GO"):
			f.Env = append(f.Env, s.Key+"="+s.Value)
		}
	}
	if coverMode != "" {
		f.Args = append(f.Args, "-cover", "-covermode="+coverMode)
	}
	return f
}

// Options are what Build must know besides the program.
type Options struct {
	Dir   string                 // of distributed.toml: what packages are relative to, and whose module they are built in
	Env   []string               // of the go command, and what PATH is taken from; nil: os.Environ()
	Flags Flags                  // for the go command
	Root  func() (string, error) // a directory to build in where the user's cache cannot be written: engine.Engine.Root
}

func (o *Options) env() []string {
	env := o.Env
	if env == nil {
		env = os.Environ()
	}
	return env[:len(env):len(env)]
}

// An Executable is a program that can be started.
type Executable struct {
	Path   string   // absolute
	Key    string   // tells whether two are the same: changes with the file's contents
	Inputs []string // files and directories, absolute, whose change must run the tests again; see Touch
}

// Build returns the executable of a program: what go build makes of its
// package, or the file of its command. For a package it is safe, and cheap, to
// be called by many processes at once: one builds, and the go command knows
// when there is nothing to do.
//
// Its error is an *engine.Error, unless ctx ended. Where a build fails, the
// Executable is not nil all the same, and has the Inputs alone, as far as they
// are known: the next test run depends on them.
func Build(ctx context.Context, p *config.Program, o Options) (*Executable, error) {
	if p.Package == "" {
		return find(p, &o)
	}
	b := &build{p: p, o: &o}
	x, err := b.run(ctx)
	if err != nil && ctx.Err() != nil {
		return x, ctx.Err()
	}
	return x, err
}

// find is Build for a command.
func find(p *config.Program, o *Options) (*Executable, error) {
	path, err := lookPath(p.Command[0], o.Dir, o.env())
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, &engine.Error{Failure: diagnostics.Failure{
			Phase: diagnostics.PhaseExec, Op: "find the command of program " + p.Name, Name: p.Name, Path: path, Err: err,
		}}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d", path, info.Size(), info.ModTime().UnixNano()))
	return &Executable{Path: path, Key: hex.EncodeToString(sum[:16]), Inputs: []string{path}}, nil
}

// lookPath is exec.LookPath with the PATH of another environment. A path with a
// slash is relative to dir. The path is worth telling even if there is an error.
func lookPath(name, dir string, env []string) (string, error) {
	if filepath.Base(name) != name {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		found, err := exec.LookPath(name)
		if err != nil {
			return name, unwrap(err)
		}
		return found, nil
	}
	denied := ""
	for _, d := range filepath.SplitList(value(env, "PATH")) {
		if !filepath.IsAbs(d) {
			continue // the working directory is whose it happens to be
		}
		found, err := exec.LookPath(filepath.Join(d, name))
		switch {
		case err == nil:
			return found, nil
		case errors.Is(err, fs.ErrPermission) && denied == "":
			// A directory that may not be searched says nothing of the file.
			if _, err := os.Stat(filepath.Join(d, name)); err == nil {
				denied = filepath.Join(d, name)
			}
		}
	}
	if denied != "" {
		return denied, fs.ErrPermission
	}
	return name, exec.ErrNotFound
}

// unwrap gives what the system said, or would say, without the name.
func unwrap(err error) error {
	if errors.Is(err, syscall.EISDIR) {
		return fs.ErrPermission
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	return err
}

// value is that of a variable; of several, the last counts.
func value(env []string, name string) string {
	for _, kv := range slices.Backward(env) {
		k, v, _ := strings.Cut(kv, "=")
		if k == name || runtime.GOOS == "windows" && strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// A build is one call of Build for a package.
type build struct {
	p   *config.Program
	o   *Options
	gob string // the go command
}

// Builds that nobody has used for so long are removed.
const (
	keepBuilds  = 7 * 24 * time.Hour
	keepOutputs = 24 * time.Hour // what a build was before its sources changed
)

func (b *build) fail(op string, err error) error {
	return &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhasePrepare, Op: op, Name: b.p.Name, Err: err}}
}

func (b *build) run(ctx context.Context) (*Executable, error) {
	var err error
	if b.gob, err = lookPath("go", b.o.Dir, b.o.env()); err != nil {
		return &Executable{}, b.buildError([]string{"the go command is not in PATH"}, err)
	}
	dir, err := b.dir()
	if err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return nil, b.fail("lock "+dir, err)
	}
	defer lock.Close()

	output := filepath.Join(dir, "output")
	if runtime.GOOS == "windows" {
		output += ".exe"
	}
	env, err := b.environment(ctx)
	if err != nil {
		return &Executable{}, b.buildError(said(err), err)
	}
	// The go command knows when there is nothing to do, but takes a second to
	// find out with a program of a thousand packages.
	if s := readSources(dir); s.Env == env.text && s.unchanged() {
		if path, key, ok := b.kept(dir, output); ok {
			return &Executable{Path: path, Key: key, Inputs: s.Inputs}, nil
		}
	}

	// What a program is made of is found out while it is built.
	begin := time.Now()
	type listing struct {
		*sources
		err error
	}
	listed := make(chan listing, 1)
	go func() {
		s, err := b.list(ctx, env)
		listed <- listing{s, err}
	}()
	args := append([]string{"build", "-o", output, "-buildvcs=false"}, b.o.Flags.Args...)
	out, buildErr := b.command(ctx, append(args, "--", b.p.Package)...).CombinedOutput()
	l := <-listed
	x := &Executable{}
	if l.sources != nil {
		x.Inputs = l.Inputs
	}
	switch {
	case buildErr != nil:
		return x, b.buildError(lines(out), buildErr)
	case l.err != nil:
		return x, b.fail("list what program "+b.p.Name+" is made of", l.err)
	case l.Name != "main":
		return x, b.buildError([]string{fmt.Sprintf("%s is package %s, not main: name the package of a command", b.p.Package, l.Name)}, errors.New("not a command"))
	}
	x.Path, x.Key, err = b.keep(dir, output)
	if err != nil {
		return x, b.fail("keep the executable of program "+b.p.Name, err)
	}
	l.note(dir, begin)
	return x, nil
}

// command is the go command as it has to be run for this build.
func (b *build) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.gob, args...)
	cmd.Dir = b.o.Dir
	cmd.Env = append(append(b.o.env(), b.o.Flags.Env...), "PWD="+b.o.Dir)
	// It removes its temporary files if it is asked to end.
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 3 * time.Second
	return cmd
}

// said is what a command had to say that failed.
func said(err error) []string {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return lines(e.Stderr)
	}
	return nil
}

// lines are those of a command's output, not too many of them.
func lines(out []byte) []string {
	const most = 40
	text := strings.TrimSpace(strings.ToValidUTF8(string(out), "\ufffd"))
	if text == "" {
		return nil
	}
	all := strings.Split(text, "\n")
	if n := len(all) - most; n > 0 {
		all = append(all[:most], fmt.Sprintf("… (%d more lines)", n))
	}
	return all
}

// buildError is what the compiler says, or why there is none that could.
func (b *build) buildError(said []string, err error) error {
	if _, refused := errors.AsType[syscall.Errno](err); refused && len(said) == 0 {
		return &engine.Error{Failure: diagnostics.Failure{
			Phase: diagnostics.PhaseExec, Op: "start the go command for program " + b.p.Name, Name: b.p.Name, Path: b.gob, Dir: b.o.Dir,
			Err: forkexec.Explain(err, 3),
		}}
	}
	for _, line := range said {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "go: downloading ") && strings.TrimSpace(line) != "" {
			err = fmt.Errorf("%s", strings.TrimSpace(line))
			break
		}
	}
	return &engine.Error{Failure: diagnostics.Failure{
		Phase: diagnostics.PhasePrepare, Code: diagnostics.ProgramBuild, Op: "build program " + b.p.Name,
		Name: b.p.Name, Path: b.p.Package, Dir: b.o.Dir, Err: err, Details: said,
	}}
}

// dir is where this build is kept: the same for the same package, directory
// and flags.
func (b *build) dir() (string, error) {
	gob := b.gob
	if real, err := filepath.EvalSymlinks(gob); err == nil {
		gob = real // go test has another way to it than a shell
	}
	h := sha256.New()
	for _, part := range slices.Concat(
		[]string{gob, b.o.Dir, b.p.Package, "args"}, b.o.Flags.Args, []string{"env"}, b.o.Flags.Env,
		[]string{value(b.o.env(), "GOFLAGS"), value(b.o.env(), "GOOS"), value(b.o.env(), "GOARCH"), value(b.o.env(), "GOWORK")},
	) {
		fmt.Fprintf(h, "%q\n", part)
	}
	name := fmt.Sprintf("%s-%s", b.p.Name, hex.EncodeToString(h.Sum(nil)[:10]))
	cache, err := os.UserCacheDir()
	if err == nil {
		dir := filepath.Join(cache, "dist", "build", name)
		if err = writable(dir); err == nil {
			return dir, nil
		}
	}
	if b.o.Root == nil {
		return "", b.fail("create a directory for builds", err)
	}
	root, err := b.o.Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "build", name)
	if err := writable(dir); err != nil {
		return "", &engine.Error{Failure: diagnostics.Failure{Phase: diagnostics.PhasePrepare, Op: "create a directory for builds", Path: dir, Err: err}}
	}
	return dir, nil
}

// writable makes a directory that this user can write, if it is not there.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// A copy of what go build has made is where no later build changes it: nodes
// are restarted from it. It is named by its contents.
const keptFile = "kept" // what the output looked like, and the name of its copy

func (b *build) copyOf(dir, output, key string) string {
	return filepath.Join(dir, key, b.p.Name+filepath.Ext(output))
}

// kept finds the copy of the output, without reading either.
func (b *build) kept(dir, output string) (path, key string, ok bool) {
	info, err := os.Stat(output)
	if err != nil {
		return "", "", false
	}
	text, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		return "", "", false
	}
	key, ok = strings.CutPrefix(string(text), outputStamp(info)+" ")
	path = b.copyOf(dir, output, key)
	if copied, err := os.Stat(path); !ok || err != nil || copied.Size() != info.Size() {
		return "", "", false
	}
	used(path)
	return path, key, true
}

func outputStamp(info fs.FileInfo) string {
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}

// keep copies the output, unless that has been done.
func (b *build) keep(dir, output string) (path, key string, err error) {
	if path, key, ok := b.kept(dir, output); ok {
		return path, key, nil
	}
	// Somebody who was killed while he built may have left a go command behind,
	// which has no lock and may write yet.
	for range 20 {
		before, err := os.Stat(output)
		if err != nil {
			return "", "", err
		}
		path, key, err = b.copy(dir, output)
		if err != nil {
			return "", "", err
		}
		after, err := os.Stat(output)
		if err == nil && os.SameFile(before, after) && outputStamp(before) == outputStamp(after) {
			used(path)
			err = os.WriteFile(filepath.Join(dir, keptFile), []byte(outputStamp(after)+" "+key), 0o600)
			prune(filepath.Dir(dir), time.Now())
			return path, key, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", "", fmt.Errorf("%s does not stop changing", output)
}

func (b *build) copy(dir, output string) (path, key string, err error) {
	temp, err := os.CreateTemp(dir, "copy-*")
	if err != nil {
		return "", "", err
	}
	defer os.Remove(temp.Name())
	from, err := os.Open(output)
	if err != nil {
		temp.Close()
		return "", "", err
	}
	defer from.Close()
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(temp, sum), from)
	err = errors.Join(err, temp.Chmod(0o700), temp.Close())
	if err != nil {
		return "", "", err
	}
	key = hex.EncodeToString(sum.Sum(nil)[:16])
	path = b.copyOf(dir, output, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, key, nil // it may run, and is the same
	}
	return path, key, os.Rename(temp.Name(), path)
}

// used keeps an executable from being pruned.
func used(path string) {
	now := time.Now()
	os.Chtimes(filepath.Dir(path), now, now)
	os.Chtimes(filepath.Dir(filepath.Dir(path)), now, now)
}

// prune removes builds that nobody has used for long from the directory of all.
func prune(all string, now time.Time) {
	for _, path := range oldBuilds(all, now) {
		removeOld(path)
	}
}

// glob has a path stand for itself in a pattern.
func glob(path string) string {
	if runtime.GOOS == "windows" {
		return path // there is no escape, and no name with a star
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
