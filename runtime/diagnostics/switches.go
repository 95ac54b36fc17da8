package diagnostics

// A Switch is a setting of the system that forbids something.
type Switch struct {
	Name   string // "kernel.unprivileged_userns_clone"
	Value  string
	Remedy string // what to do about it, as root
}

// NamespaceSwitches returns the settings that keep this process from making a
// user namespace, and a network in it, as far as they can be seen. Trying it is
// the only proof; this says why it failed.
func NamespaceSwitches() []Switch { return namespaceSwitches() }
