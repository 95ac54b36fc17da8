//go:build !unix

package diagnostics

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

func whoAmI() string {
	if name := os.Getenv("USERNAME"); name != "" {
		return "user " + name
	}
	return ""
}

func ownerOf(fs.FileInfo) string { return "" }

func fileLimits(context.Context) ([]Limit, error) { return nil, errors.ErrUnsupported }
