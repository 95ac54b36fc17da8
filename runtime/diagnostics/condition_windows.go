package diagnostics

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// Package syscall invents most of the E… constants on Windows: the system
// answers with numbers of its own.
var systemErrors = []systemError{
	{windows.ERROR_FILE_NOT_FOUND, notFound},
	{windows.ERROR_PATH_NOT_FOUND, notFound},
	{windows.ERROR_DIRECTORY, notDirectory},
	{windows.ERROR_ACCESS_DENIED, permission},
	{windows.WSAEACCES, permission},
	{windows.ERROR_BAD_EXE_FORMAT, badFormat},
	{syscall.Errno(216), badFormat}, // ERROR_EXE_MACHINE_TYPE_MISMATCH
	{windows.ERROR_SHARING_VIOLATION, textBusy},
	{windows.ERROR_FILENAME_EXCED_RANGE, tooLong},
	{windows.ERROR_TOO_MANY_OPEN_FILES, tooManyFiles},
	{windows.WSAEMFILE, tooManyFiles},
	{windows.ERROR_NOT_ENOUGH_MEMORY, noMemory},
	{windows.ERROR_COMMITMENT_LIMIT, noMemory},
	{windows.WSAEADDRINUSE, addressInUse},
	{windows.WSAEADDRNOTAVAIL, addressNotAvailable},
	{windows.ERROR_DISK_FULL, noSpace},
	{windows.ERROR_WRITE_PROTECT, readOnly},
}
