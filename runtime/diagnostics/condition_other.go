//go:build !unix && !windows

package diagnostics

// Processes cannot be started where neither applies; what remains is told by
// the errors of package io/fs.
var systemErrors []systemError
