package allowance

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distkit/dist/runtime/lockfile"
)

// Place finds or makes the directory of this user's allowance on this machine.
func Place() (string, error) {
	dir, err := lockfile.Dir("allowance")
	if err != nil {
		return "", err
	}
	machine := filepath.Join(dir, machineID())
	err = os.Mkdir(machine, 0o700)
	switch {
	case err == nil:
		removeOld(dir)
	case !os.IsExist(err):
		return "", err
	}
	return machine, nil
}

// machineID tells this machine, as it runs now, from others that share the
// user's files: its containers have the same.
func machineID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id := strings.ReplaceAll(strings.TrimSpace(string(b)), "-", "")
	if err != nil || len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		host, _ := os.Hostname()
		id = hex.EncodeToString([]byte(host))
	}
	return "m" + id[:min(len(id), 32)]
}

// oldAge is after what time without a change what another machine, or an
// earlier life of this one, has left is removed.
const oldAge = 7 * 24 * time.Hour

func removeOld(dir string) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		info, err := os.Stat(filepath.Join(dir, f.Name(), tableFile))
		if err == nil && time.Since(info.ModTime()) > oldAge {
			os.RemoveAll(filepath.Join(dir, f.Name()))
		}
	}
}
