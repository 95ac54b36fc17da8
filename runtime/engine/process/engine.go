package process

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distkit/dist/runtime/diagnostics"
	"github.com/distkit/dist/runtime/engine"
	"github.com/distkit/dist/runtime/lockfile"
)

const (
	envNode   = "DIST_NODE"        // makes a node, with its descriptors; removed before user code runs
	envReaper = "DIST_REAPER"      // makes a reaper, likewise
	envDepth  = "DIST_DEPTH"       // how many processes of one binary have started each other; stays
	envRun    = diagnostics.EnvRun // stays in a node's environment, so that what it starts can be found
)

// An Engine starts nodes as child processes of this one.
type Engine struct {
	wd  string // the package's directory, where every node works
	seq atomic.Int64

	mu  sync.Mutex
	run *run // nil until something is started
}

// New returns the engine. Nothing is created on disk, and no process started,
// before the first Start.
func New() *Engine {
	e := &Engine{}
	e.wd, _ = os.Getwd() // "": the node inherits it
	return e
}

// Name implements engine.Engine.
func (e *Engine) Name() string { return "process" }

// Root implements engine.Engine.
func (e *Engine) Root() (string, error) {
	r, err := e.open()
	if err != nil {
		return "", err
	}
	return r.dir, nil
}

// Close implements engine.Engine.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.run == nil {
		return nil
	}
	err := e.run.close()
	e.run = nil
	return err
}

// A run is what this test binary has outside itself: a directory, an entry in
// the user's state that says whose the directory is, and the reaper.
type run struct {
	id  string
	dir string
	own *lockfile.File // dir, locked

	enterOnce sync.Once
	entered   chan struct{}  // closed when entry is set
	entry     *lockfile.File // nil if the state directory cannot be used

	oom struct { // see oomKills
		sync.Mutex
		now, before *uint64
		lost        time.Time // the last node
	}

	guardOnce, guard sync.Once
	guarded          chan struct{} // closed when the reaper is started, or cannot be
	reaper           *reaper       // nil if it could not be started
}

// guardDelay is what the first nodes have of the processor to themselves:
// starting the reaper takes a quarter of what starting a node does.
const guardDelay = 5 * time.Millisecond

// guardSoon has the run guarded in a moment, once the first node of the test
// binary has answered, also if nobody asks for it. Its lifeline already ends a
// node and its group with this process. What a run that is killed earlier leaves
// beyond that, empty files, has an entry, by which the next run finds it.
func (r *run) guardSoon() {
	r.guardOnce.Do(func() { time.AfterFunc(guardDelay, r.startGuard) })
}

// Guard implements engine.Engine.
func (e *Engine) Guard() {
	e.mu.Lock()
	r := e.run
	e.mu.Unlock()
	if r != nil {
		r.startGuard()
		<-r.guarded
	}
}

// startGuard has the run's reaper started, the first time, and then what runs
// that nobody guarded have left removed.
func (r *run) startGuard() {
	r.guard.Do(func() {
		go func() {
			r.reaper, _ = startReaper(r) // the next run cleans up if none can be had
			close(r.guarded)
			sweepDeadRuns()
			sweepDeadDirs(filepath.Dir(r.dir))
		}()
	})
}

// enter makes the run's entry in the background, once the first node has been
// started: it goes through its initialisation meanwhile.
func (r *run) enter() {
	r.enterOnce.Do(func() {
		go func() {
			// Without an entry the next run cannot clean up after this one; the
			// reaper can. It is no reason to have no cluster.
			r.entry, _ = newEntry(r.id, r.dir)
			close(r.entered)
			r.oom.Lock()
			r.oom.now = diagnostics.OOMKills()
			r.oom.Unlock()
		}()
	})
}

// oomKills is how many processes the kernel had killed for lack of memory when
// the first node was started, or when one was last lost before: not counting
// what is lost together with this one, for the same reason.
func (r *run) oomKills() *uint64 {
	o := &r.oom
	o.Lock()
	defer o.Unlock()
	if time.Since(o.lost) > time.Second {
		o.before = o.now
	}
	o.now, o.lost = diagnostics.OOMKills(), time.Now()
	return o.before
}

// open makes the run, once. A failure is tried again by the next caller: a
// full disk may have been emptied.
func (e *Engine) open() (*run, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.run != nil {
		return e.run, nil
	}
	tmp, err := filepath.Abs(os.TempDir())
	if err != nil {
		return nil, prepareError("find the temporary directory", os.TempDir(), err)
	}
	id := newID()
	dir := filepath.Join(tmp, dirPrefix+id)
	own, err := lockfile.MakeDir(dir)
	if err != nil {
		return nil, prepareError("create the directory of this run", tmp, err)
	}
	r := &run{id: id, dir: dir, own: own, entered: make(chan struct{}), guarded: make(chan struct{})}
	watchParent()
	e.run = r
	return r, nil
}

func (r *run) close() error {
	err := os.RemoveAll(r.dir)
	r.own.Remove()
	r.enterOnce.Do(func() { close(r.entered) }) // no node was ever started
	<-r.entered
	if r.entry != nil {
		r.entry.Remove()
	}
	r.guard.Do(func() { close(r.guarded) }) // no node has ever answered
	<-r.guarded
	if r.reaper != nil {
		r.reaper.dismiss()
	}
	return err
}

const (
	dirPrefix = "dist-"
	idLen     = 16
)

func newID() string {
	var b [idLen * 5 / 8]byte // letters and digits
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// nodeID is what the environment of a node, and of all that it starts, says.
func (r *run) nodeID(seq int64) string { return fmt.Sprintf("%s/%d", r.id, seq) }

func prepareError(op, path string, err error) error {
	return &engine.Error{Failure: diagnostics.Failure{
		Phase: diagnostics.PhasePrepare, Op: op, Path: path, Err: err,
	}}
}
