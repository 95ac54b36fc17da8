package diagnostics

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
)

// localNames says what the names and interfaces are that nodes' addresses depend
// on, one a line: "localhost is 127.0.0.1, ::1", "interface lo (up): 127.0.0.1/8".
func localNames(ctx context.Context) ([]string, error) {
	var lines []string
	resolve := func(name string) {
		addrs, err := net.DefaultResolver.LookupHost(ctx, name)
		switch dns, ok := errors.AsType[*net.DNSError](err); {
		case err == nil:
			lines = append(lines, name+" is "+strings.Join(addrs, ", "))
		case ok && dns.IsNotFound:
			lines = append(lines, name+" does not resolve")
		default:
			lines = append(lines, name+" does not resolve: "+err.Error())
		}
	}
	resolve("localhost")
	if host, err := os.Hostname(); err == nil && host != "" && host != "localhost" {
		resolve(host)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return lines, err
	}
	found := false
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 {
			continue
		}
		found = true
		state := "down"
		if i.Flags&net.FlagUp != 0 {
			state = "up"
		}
		addrs, err := i.Addrs()
		if err != nil {
			return lines, err
		}
		texts := make([]string, len(addrs))
		for k, a := range addrs {
			texts[k] = a.String()
		}
		lines = append(lines, "interface "+i.Name+" ("+state+"): "+strings.Join(texts, ", "))
	}
	if !found {
		lines = append(lines, "there is no loopback interface")
	}
	return lines, nil
}

// asksForName reports whether a failure is about a name that did not resolve.
func asksForName(f *Failure, log *logTail) bool {
	if _, ok := errors.AsType[*net.DNSError](f.Err); ok {
		return true
	}
	return log.condition == nameUnknown
}
