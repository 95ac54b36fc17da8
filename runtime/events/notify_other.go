//go:build !linux

package events

func newNotifier(func(map[int]bool)) notifier { return nil }
