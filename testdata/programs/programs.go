// Package programs is what the tests of package dist run besides suite: a
// package whose tests have nodes that run a program.
package programs

import (
	"log"
	"os"
	"path/filepath"
	"sync"
)

// A Store is what the program has: a file a key. Its lines run on nodes alone.
type Store struct {
	Name, Dir, Peers string

	mu sync.Mutex
}

// Answer carries out a request of one line.
func (s *Store) Answer(words []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case words[0] == "who":
		return s.Name
	case words[0] == "peers":
		return s.Peers
	case words[0] == "env" && len(words) == 2:
		return os.Getenv(words[1])
	case words[0] == "set" && len(words) == 3:
		if err := os.WriteFile(filepath.Join(s.Dir, "key-"+words[1]), []byte(words[2]), 0o600); err != nil {
			return err.Error()
		}
		return "ok"
	case words[0] == "get" && len(words) == 2:
		b, err := os.ReadFile(filepath.Join(s.Dir, "key-"+words[1]))
		if err != nil {
			return "none"
		}
		return string(b)
	case words[0] == "exit":
		log.Print("asked to exit")
		os.Exit(3)
	}
	return "what?"
}
