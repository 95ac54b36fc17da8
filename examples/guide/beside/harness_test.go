package beside

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/distkit/dist"
)

var binary string // of the server

func TestMain(m *testing.M) { os.Exit(dist.Main(withServer{m})) }

// withServer builds the server before the tests, and removes it after them. It
// is not for nodes: on those dist.Main does not come here.
type withServer struct{ *testing.M }

func (m withServer) Run() int {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "store")
	if out, err := exec.Command("go", "build", "-o", binary, "../store/server").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s", out)
		return 1
	}
	return m.M.Run()
}

// startServer returns the address of a server that answers, and what kills it.
func startServer(t *testing.T, dir string) (addr string, cmd *exec.Cmd) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	ln.Close() // and nobody takes it in the meantime, one hopes
	cmd = exec.Command(binary, "-listen="+addr, "-dir="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() }) // unless -timeout or ^C come first
	for range 100 {
		resp, err := http.Get("http://" + addr + "/health")
		if err == nil {
			resp.Body.Close()
			return addr, cmd
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the server does not answer")
	return "", nil
}
