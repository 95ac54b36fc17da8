//go:build !linux

package diagnostics

import (
	"context"
	"errors"
)

// Without /proc these are not measured. The remedies name the system's own
// command instead (lsof, netstat): starting it from here could take longer than
// a diagnosis may, or fail for the very reason that is being diagnosed.

func holders(context.Context, string, string) ([]Holder, error) { return nil, errors.ErrUnsupported }
func inspectProcess(int) (*Process, error)                      { return nil, errors.ErrUnsupported }
func loadAverage() (string, error)                              { return "", errors.ErrUnsupported }
func load() (float64, error)                                    { return 0, errors.ErrUnsupported }
func descriptors(context.Context) ([]string, error)             { return nil, errors.ErrUnsupported }
func systemFileLimits(context.Context) ([]Limit, error)         { return nil, errors.ErrUnsupported }
func processLimits(context.Context) ([]Limit, error)            { return nil, errors.ErrUnsupported }
func memoryLimits(context.Context) ([]Limit, error)             { return nil, errors.ErrUnsupported }

// OOMKills is how many processes the kernel has killed for lack of memory. Taken
// when a node starts and put into [Failure.OOMBefore], it lets Diagnose tell
// such a death from somebody's kill. It is nil where nothing counts, as here.
func OOMKills() *uint64 { return nil }
