//go:build !unix

package main

func main() { println("peers: only measures where there are Unix sockets") }
