// Server keeps values by key in a directory, and serves them over HTTP. It knows
// nothing of tests.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

func main() {
	listen := flag.String("listen", "localhost:8080", "address to serve on")
	dir := flag.String("dir", ".", "directory of the values")
	flag.Parse()

	file := func(r *http.Request) string { return filepath.Join(*dir, url.PathEscape(r.PathValue("key"))+".value") }
	http.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {})
	http.HandleFunc("GET /values/{key}", func(w http.ResponseWriter, r *http.Request) {
		value, err := os.ReadFile(file(r))
		if os.IsNotExist(err) {
			http.NotFound(w, r)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(value)
	})
	http.HandleFunc("PUT /values/{key}", func(w http.ResponseWriter, r *http.Request) {
		value, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(file(r)+".new", value, 0o600)
		}
		if err == nil {
			err = os.Rename(file(r)+".new", file(r))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	log.Printf("serving %s on %s", *dir, *listen)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
