package events

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// FileName is what a run's file is called in its directory.
const FileName = "events.jsonl"

// A Record is what a file says.
type Record struct {
	Header Header
	Events []Event // in order of At
	Bad    int     // lines that cannot be read; one at the end that was cut is none
}

// Open reads a file, which may be that of a run that still goes on, or was
// killed.
func Open(name string) (*Record, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// Read reads a file's contents. Kinds and fields that it does not know are left
// out, and so is what is no line of the schema. Something else than events is an
// error.
func Read(r io.Reader) (*Record, error) {
	b, err := io.ReadAll(io.LimitReader(r, 8*MaxBytes))
	if err != nil {
		return nil, err
	}
	rec := new(Record)
	first, _, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return nil, errors.New("this is no file of events: it has no first line")
	}
	if err := json.Unmarshal(first, &rec.Header); err != nil || !strings.HasPrefix(rec.Header.Schema, "dist.events/") {
		return nil, fmt.Errorf("this is no file of events: its first line does not say schema %s", Schema)
	}
	if rec.Header.Schema != Schema {
		return nil, fmt.Errorf("the file is written in schema %.40q, and this dist reads %s: use the version that wrote it", rec.Header.Schema, Schema)
	}
	b = b[len(first)+1:]
	for len(b) > 0 {
		var line []byte
		i := bytes.IndexByte(b, '\n')
		last := i < 0
		if last {
			line, b = b, nil
		} else {
			line, b = b[:i], b[i+1:]
		}
		// Room that nothing has been written to.
		if line = bytes.TrimLeft(line, "\x00"); len(line) == 0 {
			continue
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			if !last {
				rec.Bad++
			}
			continue
		}
		if slices.Contains(Kinds, e.Kind) {
			rec.Events = append(rec.Events, e)
		}
	}
	slices.SortStableFunc(rec.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return rec, nil
}
