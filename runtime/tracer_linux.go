package runtime

import "golang.org/x/sys/unix"

// allowTracer lets any process of this user debug this one, where Yama lets only
// those above it.
func allowTracer() {
	const any = ^uintptr(0)                       // PR_SET_PTRACER_ANY
	unix.Prctl(unix.PR_SET_PTRACER, any, 0, 0, 0) // EINVAL: there is no Yama, nor a need
}
