//go:build !unix

package forkexec

func beyondLimit(int, []int) bool { return false }
