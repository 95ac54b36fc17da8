package runtime

import (
	"testing"
	"time"

	"github.com/distkit/dist/runtime/manager"
)

func TestHungTime(t *testing.T) {
	begin := time.Now()
	for _, test := range []struct {
		total, gone time.Duration
		nodes       int
	}{
		{10 * time.Minute, 0, 3}, {10 * time.Minute, 9*time.Minute + 58*time.Second, 3},
		{3 * time.Second, time.Second, 3}, {100 * time.Millisecond, 0, 1}, {time.Hour, time.Minute, 256},
		{time.Second, 2 * time.Second, 1}, // over already
	} {
		now := begin.Add(test.gone)
		left := test.total - test.gone
		after, answer, quit := hungTime(begin, begin.Add(test.total), now, test.nodes)
		if margin := left - after; left > 0 && (after < left/2 || answer <= 0 || quit <= 0 || quit > manager.QuitTime || answer+quit > margin*2/3+2 && answer+quit > margin-manager.QuitTime || margin > test.total/hungPart+time.Duration(test.nodes)*hungPerNode || margin > 11*time.Second) {
			t.Errorf("%v of %v gone, %d nodes: asked after %v, for %v", test.gone, test.total, test.nodes, after, answer)
		}
		if left < 0 && answer > 0 {
			t.Errorf("asked for %v though the time is over", answer)
		}
	}
}
