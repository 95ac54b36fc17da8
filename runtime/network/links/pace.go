package links

import (
	"math/rand/v2"
	"time"

	"github.com/distkit/dist/runtime/network"
)

// shaped reports whether what is sent arrives later.
func shaped(c network.Condition) bool { return c.Delay > 0 || c.Jitter > 0 || c.Bandwidth > 0 }

// A pace is how what is sent after each other arrives. The zero value is that of
// a sender who has sent nothing for long.
type pace struct {
	sent time.Time // when the last byte has gone out, at the bandwidth there is
	due  time.Time // when the last one arrives
}

// next returns when something arrives that is sent now.
func (p *pace) next(c network.Condition, size int, now time.Time) time.Time {
	p.sent = later(p.sent, now)
	if c.Bandwidth > 0 {
		p.sent = p.sent.Add(time.Duration(float64(size) / float64(c.Bandwidth) * float64(time.Second)))
	}
	due := p.sent.Add(c.Delay)
	if c.Jitter > 0 {
		due = due.Add(rand.N(c.Jitter + 1))
	}
	p.due = later(p.due, due) // never before what was sent before
	return p.due
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// capacity is how many bytes may be on their way: beyond, the sender waits, as
// it does for a window that is full.
func capacity(c network.Condition) int {
	const most = 4 << 20
	if c.Bandwidth == 0 {
		return most
	}
	const queues = 50 * time.Millisecond // of the routers on the way
	return int(min(most, float64(c.Bandwidth)*(c.Delay+c.Jitter+queues).Seconds()))
}
