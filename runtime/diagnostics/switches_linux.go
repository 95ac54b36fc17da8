package diagnostics

import (
	"os"
	"strings"
)

func namespaceSwitches() []Switch { return linux.namespaceSwitches(os.Geteuid() == 0) }

func (k kernel) namespaceSwitches(root bool) []Switch {
	var found []Switch
	forbids := func(name, value, to string, privileged bool) {
		if privileged && root {
			return // forbidden to others only
		}
		text, err := k.read("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
		if err == nil && strings.TrimSpace(text) == value {
			found = append(found, Switch{name, value, "sysctl -w " + name + "=" + to})
		}
	}
	forbids("kernel.unprivileged_userns_clone", "0", "1", true)
	forbids("kernel.apparmor_restrict_unprivileged_userns", "1", "0", true)
	forbids("user.max_user_namespaces", "0", "15000", false)
	forbids("user.max_net_namespaces", "0", "15000", false)
	if mode, ok := k.field("/proc/self/status", "Seccomp:"); ok && mode == 2 {
		found = append(found, Switch{"seccomp", "2", "a filter is in force, as in containers: allow clone and unshare with CLONE_NEWUSER (docker: --security-opt seccomp=unconfined)"})
	}
	return found
}
