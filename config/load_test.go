package config

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestLoadSmoke(t *testing.T) {
	dir := t.TempDir()
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.sources = nil
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("Load without a file = %+v, want %+v", c, want)
	}
	os.WriteFile(filepath.Join(dir, FileName), []byte("[cluster]\nmax_node = 3\nmode=\"atuo\"\nstart_timeout = 30\n[programm.x]\n[program.y]\nports=['a b',3]\nready={tcp='x', z=3}\n[[program.z]]\n[fallback]\nmax_nodes=3\ncluster=3\n"), 0o666)
	t.Setenv("DIST_CLUSTER_MAX_NODES", "99999")
	t.Setenv("DIST_CLUSTER_MAX_NODE", "99999")
	_, err = Load(dir)
	t.Log("\n" + err.Error())
}
