//go:build !unix

package allowance

import "errors"

type seat struct{ id string }

var errNoPipes = errors.New("this system has no named pipes as Unix has them")

func (a *Allowance) update(func(*table)) error { return errNoPipes }
func (a *Allowance) prune(*table) bool         { return false }
func (a *Allowance) descends(*table) bool      { return false }
func (s *seat) wake(string)                    {}

// Close gives back all that the process has.
func (a *Allowance) Close() {}
