package diagnostics

import (
	"errors"
	"io/fs"
	"os/exec"
)

// A condition is what the operating system answered, in words that are the same
// on every one of them.
type condition string

const (
	notFound            condition = "not found"
	notDirectory        condition = "not a directory"
	permission          condition = "permission"
	badFormat           condition = "bad format"
	textBusy            condition = "text busy"
	tooLong             condition = "too long"
	tryAgain            condition = "try again"
	tooManyFiles        condition = "too many files"
	tooManyFilesSystem  condition = "too many files in the system"
	noMemory            condition = "no memory"
	addressInUse        condition = "address in use"
	addressNotAvailable condition = "address not available"
	addressForbidden    condition = "address forbidden"
	unreachable         condition = "unreachable"
	nameUnknown         condition = "name unknown"
	noSpace             condition = "no space"
	readOnly            condition = "read-only"
)

// conditionOf finds the condition in err: by the system's numbers first, then
// by what the standard library makes of them.
func conditionOf(err error) condition {
	if err == nil {
		return ""
	}
	for _, e := range systemErrors {
		if errors.Is(err, e.err) {
			return e.is
		}
	}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return notFound
	case errors.Is(err, fs.ErrPermission):
		return permission
	}
	return ""
}

// A systemError is one of the system's numbers and what it means here.
type systemError struct {
	err error
	is  condition
}
