package beside

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	addr, cmd := startServer(t, dir)
	put(t, addr, "colour", "green")

	cmd.Process.Kill()
	cmd.Wait()
	addr, _ = startServer(t, dir) // at another address
	if got := get(t, addr, "colour"); got != "green" {
		t.Errorf("after the crash: colour = %q; want green", got)
	}
}

func put(t *testing.T, addr, key, value string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, "http://"+addr+"/values/"+key, strings.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("put %s: %s", key, resp.Status)
	}
}

func get(t *testing.T, addr, key string) string {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/values/" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("get %s: %s, %v", key, resp.Status, err)
	}
	return string(b)
}
