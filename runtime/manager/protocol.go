package manager

import "time"

// What the test side asks of a node besides the user's functions. Both sides
// are the same binary, so the forms may change freely.
const (
	MethodAssign  = "dist.assign"  // Identity → nothing: a lease begins
	MethodPing    = "dist.ping"    // nothing, or an Identity to be forgotten → nothing
	MethodReset   = "dist.reset"   // nothing → EndReport: a lease ends, the node stays
	MethodStop    = "dist.stop"    // nothing → EndReport: a lease ends, the node exits
	MethodExit    = "dist.exit"    // nothing → never: the process exits at once, with what is written then
	MethodStacks  = "dist.stacks"  // nothing → the stacks of all goroutines, as text
	MethodProfile = "dist.profile" // ProfileRequest → the profile, as package runtime/pprof writes it
	MethodFunc    = "fn:"          // followed by a registered function's name
)

// What a node asks of the test side.
const (
	MethodBarrier      = "dist.barrier"       // BarrierRequest → BarrierAnswer, when the wait is over
	MethodBarrierLeave = "dist.barrier.leave" // BarrierRequest → nothing: do not wait any longer
)

// An Identity is who a node is for the time of a lease. A process that reads
// its first one is slower than one that has done it before, so that spares are
// made to rehearse it.
type Identity struct {
	Cluster string
	Name    string
	Index   int
	Size    int
	Dir     string
	Test    string              // that holds the lease
	Life    int                 // how many processes the node has had before in it
	Listen  map[string]string   // port name → address to bind
	Addrs   map[string][]string // port name → addresses others dial, by node

	Debug bool // a debugger is going to attach to the process

	// Baseline has the node note what it consists of now, because it may be
	// asked at the end whether anything is left over.
	Baseline bool
}

// Names are those of all nodes of the lease, by index.
func (id *Identity) Names() []string {
	names := make([]string, id.Size)
	for i := range names {
		names[i] = nodeName(i)
	}
	return names
}

// A ProfileRequest asks a node for a profile.
type ProfileRequest struct {
	Name string        // "cpu", "trace", or one of package runtime/pprof
	For  time.Duration // how long it is recorded; 0: what there is now
}

// An EndReport is what a node says at the end of a lease.
type EndReport struct {
	Errors     []string // cleanups that panicked
	Goroutines []string // started during the lease and still there, with where they were created
	Listeners  []string // sockets that are open though they were not before
	Children   []string // processes that are still there
	Calls      int      // calls that have not returned
}

// Clean reports whether the node is as it was before the lease.
func (r *EndReport) Clean() bool {
	return len(r.Errors)+len(r.Goroutines)+len(r.Listeners)+len(r.Children)+r.Calls == 0
}
