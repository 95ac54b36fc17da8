//go:build !linux && !darwin && !dragonfly && !freebsd

package diagnostics

import "errors"

func mountOf(string) (mount, error) { return mount{}, errors.ErrUnsupported }
