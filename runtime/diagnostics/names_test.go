package diagnostics

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// An address that this machine does not have: where it really fails, and what
// the names and interfaces are.
func TestLocalNames(t *testing.T) {
	const nowhere = "192.0.2.1:0" // reserved for documentation
	_, err := net.Listen("tcp", nowhere)
	if err == nil {
		t.Skip("this machine has every address")
	}
	f := Failure{Phase: PhasePrepare, Op: "listen", Address: nowhere, Err: err}
	Gather(t.Context(), &f)
	d := Diagnose(f)
	if d.Code != AddrUnavailable {
		t.Errorf("got %s: %v", d.Code, err)
	}
	for _, want := range []string{`^localhost (is .*\b(127\.0\.0\.1|::1)\b|does not resolve)`, `^interface \S+ \((up|down)\): |^there is no loopback interface`} {
		if !slices.ContainsFunc(d.Evidence, regexp.MustCompile(want).MatchString) {
			t.Errorf("no %s in\n%s", want, d)
		}
	}
}

func TestUnknownName(t *testing.T) {
	f := Failure{Phase: PhaseCall, Op: "dial", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "localhost", IsNotFound: true}}}
	Gather(t.Context(), &f)
	if len(f.Facts.Names) == 0 {
		t.Errorf("nothing on names: %+v", f.Facts)
	}
	f = Failure{Phase: PhaseHandshake, Exit: &Exit{Code: 1}, Log: []string{"dial tcp: lookup localhost on 10.0.0.1:53: no such host"}}
	Gather(t.Context(), &f)
	if len(f.Facts.Names) == 0 {
		t.Errorf("nothing on names: %+v", f.Facts)
	}
	f = Failure{Phase: PhasePrepare, Path: "/x", Err: syscall.ENOSPC}
	Gather(t.Context(), &f)
	if len(f.Facts.Names) > 0 {
		t.Errorf("names, for a full disk: %s", strings.Join(f.Facts.Names, "\n"))
	}
}
