package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"
)

// A schedule is all that is decided of a round before it runs.
type schedule struct {
	Round     int
	Seed      uint64 // of the tests
	Form      string // binary | go test | dist test
	Package   string // mix | ownmain
	Copies    int    // test binaries at once, which share a user's files
	Run       string // -run
	Parallel  int
	Count     int
	Procs     int    // GOMAXPROCS; 0: as it is
	Addresses string // network.addresses
	Adversity string
	Limit     int    `json:",omitempty"` // of descriptors, processes or KiB of the disk
	Where     string `json:",omitempty"` // which disk is full: tmp | cache | both
	Kills     []kill `json:",omitempty"`
}

// A kill ends one of the round's processes.
type kill struct {
	Victim string // test | node | program | reaper | go | dist
	Signal string // KILL | TERM | INT | STOP, of which the last is followed by KILL
	After  time.Duration
	Pick   uint64 // which of them
}

func (s schedule) String() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// adversities, as often as they are to come.
var adversities = strings.Fields("none kill kill kill kill kill kill disk disk descriptors processes hog crowd")

// plan decides a round. It is the same for the same seed and number.
func plan(seed uint64, round int, only string) schedule {
	r := rand.New(rand.NewPCG(seed, uint64(round)))
	s := schedule{
		Round: round, Seed: r.Uint64(), Form: "binary", Package: "mix", Copies: 1,
		Parallel: 1 + r.IntN(4), Count: 1, Addresses: pick(r, "auto", "per-node", "ports"),
		Adversity: pick(r, adversities...),
	}
	if only != "" {
		s.Adversity = only
	}
	s.Run = pick(r, ".", ".", "Parallel|Shared", "Reuse", "Program|Shared", "One|Three|Five|Optional", "Three|Parallel2|Reuse2")
	if r.IntN(5) == 0 {
		s.Package, s.Run = "ownmain", "."
	}
	switch r.IntN(6) {
	case 0:
		s.Form = "go test"
	case 1:
		s.Form = "dist test"
	}
	if r.IntN(4) == 0 {
		s.Count = 2
	}
	if r.IntN(4) == 0 {
		s.Procs = 1 + r.IntN(2)
	}
	if r.IntN(4) == 0 {
		s.Copies = 2 + r.IntN(2)
	}
	switch s.Adversity {
	case "kill":
		victims := []string{"test", "node", "node", "reaper"}
		if s.Package == "mix" {
			victims = append(victims, "program")
		}
		if s.Form != "binary" {
			victims = append(victims, "go", "go")
		}
		if s.Form == "dist test" {
			victims = append(victims, "dist", "dist")
		}
		for range 1 + r.IntN(3) {
			s.Kills = append(s.Kills, kill{pick(r, victims...), pick(r, "KILL", "KILL", "TERM", "INT", "STOP"), moment(r, s), r.Uint64()})
		}
	case "disk":
		s.Form, s.Copies = "binary", 1
		s.Where = pick(r, "tmp", "cache", "both")
		s.Limit = pickInt(r, 0, 4, 16, 64, 256, 1024)
	case "descriptors":
		s.Form = "binary"
		s.Limit = 8 + r.IntN(70)
	case "processes":
		s.Form = "binary"
		s.Limit = 10 + r.IntN(120)
	case "hog":
		s.Procs = 1
	case "crowd":
		s.Form, s.Copies, s.Count = "binary", 16, 1
		s.Run = pick(r, "Parallel|Shared", "Reuse", "Three|One", "Program")
		if s.Package == "ownmain" {
			s.Run = "."
		}
	}
	return s
}

// moment is when in a round something happens: often early, where there are
// more things half done.
func moment(r *rand.Rand, s schedule) time.Duration {
	most := 1500 * time.Millisecond
	if s.Form != "binary" {
		most = 5 * time.Second
	}
	if r.IntN(2) == 0 {
		most /= 8
	}
	return time.Duration(r.Int64N(int64(most))).Round(time.Microsecond)
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }
func pickInt(r *rand.Rand, of ...int) int    { return of[r.IntN(len(of))] }
