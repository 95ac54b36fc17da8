package engine

import "sync"

// Lives are the processes of one node, of which one follows the other: why the
// last one has ended, or is about to, and whether whoever has the node knows. The
// zero Lives has had no process. It is safe for concurrent use.
type Lives struct {
	mu     sync.Mutex
	cur    Node   // also when it has ended; nil before the first
	past   []Node // in order
	asked  string // why cur is expected to have ended; "": it is not
	told   bool   // whoever has the node knows that cur has ended
	paused bool   // by whoever has the node
}

// Begin has a process follow the one before, which has ended.
func (l *Lives) Begin(p Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur != nil {
		l.past = append(l.past, l.cur)
	}
	l.cur, l.asked, l.told, l.paused = p, "", false, false
}

// Now is the last process, nil before the first, and whether it exists, paused or
// not.
func (l *Lives) Now() (p Node, running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cur, l.running()
}

func (l *Lives) running() bool { return l.cur != nil && Alive(l.cur) }

// Past are the processes before the last one.
func (l *Lives) Past() []Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.past[:len(l.past):len(l.past)]
}

// Ended hands over the processes that have ended; those in the past are
// forgotten.
func (l *Lives) Ended() []Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := l.past
	l.past = nil
	if l.cur != nil && !Alive(l.cur) {
		ended = append(ended, l.cur)
	}
	return ended
}

// Expect notes why the last process is going to end, if it is running.
func (l *Lives) Expect(reason string) (p Node, running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cur, l.expect(l.cur, reason)
}

// ExpectOf is Expect for a process that another may have followed meanwhile, whose
// end nobody expects. It reports whether it is the last one, and running.
func (l *Lives) ExpectOf(p Node, reason string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expect(p, reason)
}

func (l *Lives) expect(p Node, reason string) (running bool) {
	running = l.cur == p && l.running()
	if running {
		l.asked = reason
	}
	return running
}

// Asked is why the last process is expected to have ended; "" if it is not.
func (l *Lives) Asked() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// SetPaused notes that the last process has been paused, or resumed.
func (l *Lives) SetPaused(paused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = paused
}

// Paused reports whether the last process is running, and paused.
func (l *Lives) Paused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused && l.running()
}

// Tell notes that whoever has the node knows of the end of p, if that is its last
// process.
func (l *Lives) Tell(p Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = l.told || l.cur == p
}

// Told reports whether whoever has the node knows of the end of its last process.
func (l *Lives) Told() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}

// Unheard is the last process, if it has ended, nobody has wanted it to, and
// whoever has the node does not know; otherwise nil. From then on they do.
func (l *Lives) Unheard() Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur == nil || l.running() || l.asked != "" || l.told {
		return nil
	}
	l.told = true
	return l.cur
}
