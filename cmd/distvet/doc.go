// Distvet checks distributed tests: directives that mean nothing to Go,
// requirements that contradict each other, functions and values that cannot go
// to a node, generated files that are missing or stale. docs/findings.md lists
// what it may say.
//
// It is a tool for go vet, which runs it on what has changed only:
//
//	go build -o distvet github.com/distkit/dist/cmd/distvet
//	go vet -vettool=$PWD/distvet ./...
//	go vet -vettool=$PWD/distvet -fix -diff ./...
//
// By itself it loads the packages and checks all of them:
//
//	distvet ./...
//	distvet -fix ./...
//
// Exit status, by itself: 0 nothing found, 3 findings, 1 packages that do not
// load or compile. go vet's is 1 for findings.
package main
