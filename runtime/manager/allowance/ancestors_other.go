//go:build unix && !linux

package allowance

import "os"

// ancestors are the processes above this one, as far as this system tells
// without a helper: the parent.
func ancestors() map[int]bool { return map[int]bool{os.Getppid(): true} }
