package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/distkit/dist/torture/mix"
)

// binaries are what is run, built once.
type binaries struct {
	dir                        string
	module                     string // this module's directory
	goCache, goPath            string
	mix, ownmain, server, dist string
}

// build builds them into a directory.
func build(ctx context.Context, dir string, race bool) (*binaries, error) {
	b := &binaries{dir: dir}
	env, err := exec.CommandContext(ctx, "go", "env", "GOCACHE", "GOPATH", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find this module: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(env)), "\n")
	b.goCache, b.goPath, b.module = lines[0], lines[1], filepath.Dir(lines[2])
	for _, one := range []struct {
		file *string
		name string
		args []string
	}{
		{&b.mix, "mix.test", []string{"test", "-c"}},
		{&b.ownmain, "ownmain.test", []string{"test", "-c"}},
		{&b.server, "server", []string{"build"}},
		{&b.dist, "dist", []string{"build"}},
	} {
		*one.file = filepath.Join(dir, one.name)
		args := append(one.args, "-o", *one.file)
		if race && one.name != "server" {
			args = append(args, "-race")
		}
		pkg := map[string]string{"mix.test": "./torture/mix", "ownmain.test": "./torture/ownmain", "server": "./testdata/programs/server", "dist": "./cmd/dist"}[one.name]
		cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
		cmd.Dir = b.module
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", one.name, err, out)
		}
	}
	return b, nil
}

// A world is where one round happens.
type world struct {
	*binaries
	dir, cache, tmp, record string
	mark                    string
	uid                     int // who runs the tests; 0: whoever runs this
}

func newWorld(b *binaries, s schedule) (*world, error) {
	dir, err := os.MkdirTemp(b.dir, fmt.Sprintf("round %d ", s.Round)) // with a space
	if err != nil {
		return nil, err
	}
	w := &world{binaries: b, dir: dir, cache: filepath.Join(dir, "cache"), tmp: filepath.Join(dir, "tmp"), record: filepath.Join(dir, "record")}
	w.mark = strconv.Itoa(os.Getpid()) + "-" + filepath.Base(dir)
	w.mark = strings.ReplaceAll(w.mark, " ", "-")
	for _, d := range []string{dir, w.cache, w.tmp} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			return nil, err
		}
		if err := os.Chmod(d, 0o777); err != nil { // other users run tests here, too
			return nil, err
		}
	}
	config := fmt.Sprintf(`[program.kv]
command = [%q]
args = ["-name={{.Name}}", "-dir={{.Dir}}", "-listen={{.Listen \"kv\"}}"]
ports = ["kv"]
ready = { tcp = "kv" }
`, b.server)
	return w, os.WriteFile(filepath.Join(dir, "distributed.toml"), []byte(config), 0o644)
}

func (w *world) environ(s schedule) []string {
	env := append(os.Environ(),
		"GOCACHE="+w.goCache, "GOPATH="+w.goPath, "XDG_CACHE_HOME="+w.cache, "TMPDIR="+w.tmp, "DIST_CONFIG="+filepath.Join(w.dir, "distributed.toml"),
		"DIST_NETWORK_ADDRESSES="+s.Addresses, "CI=", "GITHUB_ACTIONS=", "GITLAB_CI=", "GORACE=atexit_sleep_ms=0", "GOCOVERDIR=", "GOFLAGS=",
		envMark+"="+w.mark, mix.EnvSeed+"="+strconv.FormatUint(s.Seed, 10), mix.EnvRecord+"="+w.record)
	if s.Procs > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(s.Procs))
	}
	return env
}

// testTimeout is that of -timeout: several tests may each wait in vain for all of
// their patience. overall is what a round may take.
const (
	testTimeout = 300 * time.Second
	overall     = testTimeout + 60*time.Second
)

// command is one run of the tests of a round.
func (w *world) command(ctx context.Context, s schedule) *exec.Cmd {
	flags := func(prefix string) []string {
		return []string{prefix + "run=" + s.Run, prefix + "v", prefix + "timeout=" + testTimeout.String(), prefix + "count=" + strconv.Itoa(s.Count),
			prefix + "parallel=" + strconv.Itoa(s.Parallel), prefix + "shuffle=" + strconv.FormatUint(s.Seed>>1, 10)}
	}
	var argv []string
	switch s.Form {
	case "go test":
		argv = append([]string{"go", "test"}, append(flags("-"), "./torture/"+s.Package)...)
	case "dist test":
		argv = append([]string{w.dist, "test"}, append(flags("-"), "./torture/"+s.Package)...)
	default:
		argv = append([]string{filepath.Join(w.binaries.dir, s.Package+".test")}, flags("-test.")...)
	}
	before := ""
	switch s.Adversity {
	case "descriptors":
		before = fmt.Sprintf("ulimit -n %d", s.Limit)
	case "processes":
		before = fmt.Sprintf("ulimit -u %d", s.Limit)
	}
	if before != "" {
		argv = append([]string{"bash", "-c", before + "\nexec \"$@\"", "sh"}, argv...)
	}
	if s.Adversity == "disk" {
		argv = append(w.fullDisk(s), argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = w.module
	if s.Form == "binary" {
		cmd.Dir = filepath.Join(w.module, "torture", s.Package)
	}
	cmd.Env = w.environ(s)
	if w.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.uid)}}
	}
	cmd.WaitDelay = 30 * time.Second
	return cmd
}

// fullDisk wraps a run so that it sees small file systems of its own. What is
// left on them is told at the end, on descriptor 3's stead in a file.
func (w *world) fullDisk(s schedule) []string {
	dirs := map[string][]string{"tmp": {w.tmp}, "cache": {w.cache}, "both": {w.tmp, w.cache}}[s.Where]
	script := ""
	for _, d := range dirs {
		script += fmt.Sprintf("mount -t tmpfs -o size=%dk,mode=777 none '%s'\n", max(4, s.Limit), d)
		if s.Limit == 0 {
			script += fmt.Sprintf("head -c 4096 /dev/zero >'%s/full'\n", d)
		} else {
			// From some moment on there is no room at all.
			script += fmt.Sprintf("(sleep 0.%d; head -c 2000000 /dev/zero >'%s/full') 2>/dev/null &\n", s.Seed%10, d)
		}
	}
	script += fmt.Sprintf("code=0; \"$@\" || code=$?; sleep 0.3; ls -d '%s'/dist-* '%s'/dist/runs/* 2>/dev/null >'%s/left'\nexit $code", w.tmp, w.cache, w.dir)
	argv := []string{"unshare", "-m"}
	if os.Getuid() != 0 {
		argv = []string{"unshare", "-Urm"}
	}
	return append(argv, "sh", "-c", script, "sh")
}

// needs says why this machine cannot have an adversity; "" if it can.
func needs(s schedule) string {
	switch s.Adversity {
	case "disk":
		args := []string{"-m", "true"}
		if os.Getuid() != 0 {
			args = []string{"-Urm", "true"}
		}
		if out, err := exec.Command("unshare", args...).CombinedOutput(); err != nil {
			return fmt.Sprintf("no mount namespaces: %v %s", err, bytes.TrimSpace(out))
		}
	case "processes":
		if os.Getuid() != 0 {
			return "needs root: a user of whom nothing else runs"
		}
		fallthrough
	case "descriptors":
		if err := exec.Command("bash", "-c", "ulimit -u").Run(); err != nil {
			return "needs bash"
		}
	}
	return ""
}

// A run is what came of one command.
type run struct {
	out, err bytes.Buffer
	ended    error
}

// play runs a round, and says what is wrong. skipped is why it was not run.
func play(ctx context.Context, b *binaries, s schedule, logf func(string, ...any)) (wrong []string, dir, skipped string) {
	if why := needs(s); why != "" {
		return nil, "", why
	}
	w, err := newWorld(b, s)
	if err != nil {
		return []string{err.Error()}, "", ""
	}
	if s.Adversity == "processes" {
		w.uid = 3<<20 + os.Getpid() + s.Round
	}
	defer endMarked(w.mark)
	ctx, cancel := context.WithTimeout(ctx, overall)
	defer cancel()

	runs := make([]*run, s.Copies)
	var wg, strikes sync.WaitGroup
	stop := make(chan struct{})
	for i := range runs {
		runs[i] = new(run)
		cmd := w.command(ctx, s)
		cmd.Stdout, cmd.Stderr = &runs[i].out, &runs[i].err
		wg.Go(func() { runs[i].ended = cmd.Run() })
	}
	if s.Adversity == "hog" {
		strikes.Go(func() { w.hog(stop) })
	}
	var mu sync.Mutex
	ended := make(map[string]bool)
	for _, k := range s.Kills {
		strikes.Go(func() {
			select {
			case <-stop:
				return
			case <-time.After(k.After):
			}
			// Nobody of that kind, yet: as soon as there is one.
			for {
				if who := strike(k, w.mark); who != "" {
					mu.Lock()
					ended[k.Victim] = true
					mu.Unlock()
					logf("%v: %s", k.After, who)
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	strikes.Wait()
	if ctx.Err() != nil {
		wrong = append(wrong, "the round did not end")
	}

	// A go command or a dist that was killed leaves others that end by themselves.
	wrong = append(wrong, w.judge(s, runs, ended)...)
	// The reaper is there a moment after the first cluster.
	early := slices.ContainsFunc(runs, func(r *run) bool { return !strings.Contains(r.out.String(), "\n--- ") })
	if slices.ContainsFunc(runs, func(r *run) bool { return excused(s, r.err.String()) }) {
		early, ended["test"] = true, true // and so may its reaper, which needs threads, too
	}
	wrong = append(wrong, w.after(ctx, s, ended, early)...)
	for i, r := range runs {
		os.WriteFile(filepath.Join(w.dir, fmt.Sprintf("out-%d", i)), r.out.Bytes(), 0o600)
		os.WriteFile(filepath.Join(w.dir, fmt.Sprintf("err-%d", i)), r.err.Bytes(), 0o600)
	}
	os.WriteFile(filepath.Join(w.dir, "schedule.json"), []byte(s.String()+"\n"), 0o600)
	os.WriteFile(filepath.Join(w.dir, "wrong"), []byte(strings.Join(wrong, "\n")+"\n"), 0o600)
	if len(wrong) == 0 {
		os.RemoveAll(w.dir)
	}
	return wrong, w.dir, ""
}

// judge looks at what the runs of a round printed.
func (w *world) judge(s schedule, runs []*run, ended map[string]bool) (wrong []string) {
	var outcomes []outcome
	for _, r := range runs {
		o := parse(r.out.String())
		outcomes = append(outcomes, o)
		wrong = append(wrong, judge(s, o, r.err.String(), ended)...)
		cut := ended["test"] || ended["go"] || ended["dist"]
		exit, isExit := errors.AsType[*exec.ExitError](r.ended)
		switch {
		case r.ended == nil && len(o.failed) > 0:
			wrong = append(wrong, "tests failed, and the exit status is 0")
		case r.ended != nil && !isExit:
			wrong = append(wrong, r.ended.Error())
		case isExit && len(o.failed) == 0 && !cut && !excused(s, r.err.String()+r.out.String()):
			text := r.err.String() + r.out.String()
			if e := explanations[s.Adversity]; e == nil || !e.MatchString(text) {
				if !(ended["node"] && nodeKilled.MatchString(text)) {
					wrong = append(wrong, fmt.Sprintf("no test failed, and yet: %v", exit))
				}
			}
		}
	}
	record, err := os.ReadFile(w.record)
	if err != nil && !os.IsNotExist(err) {
		wrong = append(wrong, err.Error())
	}
	return append(wrong, unbacked(outcomes, string(record))...)
}

// after looks at what is left of a round, and has a next one, which must have
// its cluster at once. early: some run may have been killed before it had a
// reaper, so that the next one removes its files.
func (w *world) after(ctx context.Context, s schedule, ended map[string]bool, early bool) (wrong []string) {
	left := func() []string { return append(processesLeft(w.mark), filesLeft(w)...) }
	if ended["dist"] || ended["go"] {
		// They run to their end, and nobody waits for them.
		if running := eventually(testTimeout, func() []string { return processesLeft(w.mark) }); len(running) > 0 {
			return append(running, "though the command above has been killed")
		}
	}
	switch {
	case ended["reaper"]:
	case ended["dist"], early && (ended["test"] || ended["go"]):
		wrong = append(wrong, eventually(settles, func() []string { return processesLeft(w.mark) })...)
	default:
		wrong = append(wrong, eventually(settles, left)...)
	}
	if b, err := os.ReadFile(filepath.Join(w.dir, "left")); err == nil && len(b) > 0 {
		wrong = append(wrong, strings.ReplaceAll(strings.TrimSpace(string(b)), "\n", ", ")+" was left on the small disk")
	}
	// The machine is free again: a grant or a lock that is stuck would show.
	next := schedule{Round: s.Round, Seed: s.Seed, Form: "binary", Package: "mix", Run: "^(TestThree|TestProgram1|TestReuse1)$", Parallel: 1, Count: 1, Addresses: s.Addresses}
	cmd := w.command(ctx, next)
	cmd.Env = append(cmd.Env, "DIST_RESOURCES_MAX_NODES_ON_MACHINE=3")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("waiting:")) || bytes.Count(out, []byte("--- PASS")) != 3 {
		wrong = append(wrong, fmt.Sprintf("the next run: %v\n%s", err, out))
	}
	if ended["dist"] {
		cmd := exec.CommandContext(ctx, w.dist, "clean")
		cmd.Env, cmd.Dir = w.environ(s), w.module
		if out, err := cmd.CombinedOutput(); err != nil {
			wrong = append(wrong, fmt.Sprintf("dist clean: %v\n%s", err, out))
		}
	}
	wrong = append(wrong, eventually(settles, left)...)
	return append(wrong, artifactsTooLarge(w)...)
}

// hog takes the processor, until stop.
func (w *world) hog(stop <-chan struct{}) {
	var wg sync.WaitGroup
	for range 6 {
		// timeout, in case this process is killed.
		cmd := exec.Command("timeout", "400", "sh", "-c", "while :; do :; done")
		if cmd.Start() != nil {
			continue
		}
		wg.Go(func() {
			<-stop
			cmd.Process.Signal(syscall.SIGTERM) // which timeout passes on
			cmd.Wait()
		})
	}
	wg.Wait()
}
