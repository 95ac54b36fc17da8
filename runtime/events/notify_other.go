//go:build !linux

package events

func newNotifier(func(map[change]bool)) notifier { return nil }
