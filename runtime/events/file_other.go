//go:build !linux

package events

import "os"

func create(name string, most int64) (file, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return written{f}, nil
}
