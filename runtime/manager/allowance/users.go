package allowance

import (
	"os"
	"time"
)

// A User is a process that has nodes on this machine, or waits for room.
type User struct {
	Name  string    `json:"name"` // what it is: the package of its tests, mostly
	PID   int       `json:"pid"`
	Test  string    `json:"test,omitempty"`  // who has the oldest lease, or waits
	Nodes int       `json:"nodes"`           // that its tests have
	Kept  int       `json:"kept,omitempty"`  // of clusters that stay until somebody ends them
	Spare int       `json:"spare,omitempty"` // started ahead of time, and given up when others need the room
	Wants int       `json:"wants,omitempty"` // that it waits for
	Since time.Time `json:"since,omitzero"`  // when the oldest lease began
}

// Users returns the processes of this user that have nodes, or wait for some,
// in the order in which they came.
func Users() ([]User, error) {
	a := New("", Place, nil)
	defer a.Close() // when the lock below has been released
	a.mu.Lock()
	defer a.mu.Unlock()
	var users []User
	err := a.update(func(t *table) {
		a.prune(t)
		for _, r := range t.records {
			if r.pid == os.Getpid() || r.nodes()+r.wants == 0 {
				continue
			}
			u := User{Name: r.name, PID: r.pid, Test: r.test, Nodes: r.tests, Kept: r.kept, Spare: r.spare, Wants: r.wants}
			if r.since > 0 {
				u.Since = time.UnixMilli(r.since)
			}
			users = append(users, u)
		}
	})
	return users, err
}
