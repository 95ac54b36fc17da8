//go:build unix

package diagnostics

import "syscall"

var systemErrors = []systemError{
	{syscall.ENOENT, notFound},
	{syscall.ENOTDIR, notDirectory},
	{syscall.EACCES, permission},
	{syscall.EPERM, permission},
	{syscall.ENOEXEC, badFormat},
	{syscall.ETXTBSY, textBusy},
	{syscall.E2BIG, tooLong},
	{syscall.EAGAIN, tryAgain},
	{syscall.EMFILE, tooManyFiles},
	{syscall.ENFILE, tooManyFilesSystem},
	{syscall.ENOMEM, noMemory},
	{syscall.EADDRINUSE, addressInUse},
	{syscall.EADDRNOTAVAIL, addressNotAvailable},
	{syscall.ENETUNREACH, unreachable},
	{syscall.ENOSPC, noSpace},
	{syscall.EDQUOT, noSpace},
	{syscall.EROFS, readOnly},
}
