// Package visits counts visits, and remembers the count in a file.
package visits

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"sync"
)

// A Counter is an HTTP handler that answers each request with how many there
// have been.
type Counter struct {
	file string

	mu sync.Mutex
	n  int
}

// Open returns the counter that a file has, or a new one if there is no file.
func Open(file string) (*Counter, error) {
	c := &Counter{file: file}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		c.n, err = strconv.Atoi(string(data))
	}
	return c, err
}

func (c *Counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.save(c.n + 1); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.n++
	fmt.Fprint(w, c.n)
}

// save replaces the file as a whole: a crash must not leave half a number.
func (c *Counter) save(n int) error {
	if err := os.WriteFile(c.file+".new", []byte(strconv.Itoa(n)), 0o600); err != nil {
		return err
	}
	return os.Rename(c.file+".new", c.file)
}
