package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxNameLen = 64

// checkName judges the name of a port; it is what a directive can say.
func checkName(text string) (problem, remedy string) {
	if !isName(text) || isDigit(text[0]) {
		return "is not the name of a port", "begin with a letter; go on with letters, digits, - and _, " + strconv.Itoa(maxNameLen) + " characters at most"
	}
	return "", ""
}

// checkSection judges the name of a program or a cluster; it is what a
// directive can say.
func checkSection(text string) (problem, remedy string) {
	if !isName(text) {
		return "is not a name", "begin with a letter or a digit; go on with letters, digits, - and _, " + strconv.Itoa(maxNameLen) + " characters at most"
	}
	return "", ""
}

func isName(text string) bool {
	if text == "" || len(text) > maxNameLen {
		return false
	}
	for i := range len(text) {
		if c := text[i]; !isLetter(c) && !isDigit(c) && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// checkText keeps out what no path or argument can carry.
func checkText(text string) (problem, remedy string) {
	if strings.ContainsRune(text, 0) {
		return "contains a NUL character", "remove it"
	}
	if !utf8.ValidString(text) {
		return "is not UTF-8", "write it in UTF-8"
	}
	return "", ""
}

func checkPackage(text string) (problem, remedy string) {
	switch {
	case strings.Contains(text, "..."):
		return "is a pattern", "name one main package"
	case strings.HasSuffix(text, ".go"):
		return "is a file", "name a package, such as ./cmd/server"
	case strings.Contains(text, "@"):
		return "names a version", "go.mod names the version: go get " + quote(text)
	case !isPackage(text):
		return "is not an import path", "write one such as example.com/mod/cmd/server, or ./cmd/server, relative to distributed.toml"
	}
	return "", ""
}

func isPackage(text string) bool {
	for elem := range strings.SplitSeq(text, "/") {
		if elem == "" {
			return false
		}
		for i := range len(elem) {
			if c := elem[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte("-_.~+", c) < 0 {
				return false
			}
		}
	}
	return true
}

func checkCommand(text string) (problem, remedy string) {
	if text == "" {
		return "is empty", "write each word of the command as a string of its own"
	}
	return checkText(text)
}

func checkEnvName(text string) (problem, remedy string) {
	switch {
	case text == "" || strings.ContainsFunc(text, func(r rune) bool { return r == '=' || !unicode.IsGraphic(r) }):
		return "is not the name of a variable", "write one such as LOG_LEVEL"
	case reserved(text):
		return "is the name of a variable of dist's own", "choose another name"
	}
	return "", ""
}

func checkPath(text string) (problem, remedy string) {
	if !strings.HasPrefix(text, "/") {
		return "does not begin with a slash", "write " + quote("/"+text)
	}
	if strings.ContainsAny(text, " \t\r\n\x00") {
		return "contains a space or a control character", "escape it, as in %20"
	}
	return "", ""
}

func checkRegexp(text string) (problem, remedy string) {
	if text == "" {
		return "matches everything", "name what the program prints when it is ready"
	}
	if _, err := regexp.Compile(text); err != nil {
		problem := "is not a regular expression"
		var se *syntax.Error
		if errors.As(err, &se) {
			problem += ": " + string(se.Code)
		}
		return problem, "see go doc regexp/syntax"
	}
	return "", ""
}

func checkAddr(text string) (problem, remedy string) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "is not host:port", `write one such as "db-1.internal:2379" or "[::1]:2379"`
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "has no port from 1 to 65535", "write the port as a number"
	}
	if strings.ContainsAny(host, " \t\r\n/\x00") {
		return "has no host that can be dialled", "write host:port, without a scheme or a path"
	}
	return "", ""
}

const rangeWhat = `"", a CIDR inside 127.0.0.0/8, or ports such as "20000-21000"`

var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	// 127.0.0.1 is everybody's, and Debian gives the host's name to 127.0.1.1.
	taken = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/24"), netip.MustParsePrefix("127.0.1.0/24")}
)

func checkRange(text string) (problem, remedy string) {
	if text == "" {
		return "", ""
	}
	if isPorts(text) {
		first, last, _ := strings.Cut(text, "-")
		lo, err1 := strconv.Atoi(first)
		hi, err2 := strconv.Atoi(last)
		switch {
		case err1 != nil || err2 != nil || min(lo, hi) < 1024 || max(lo, hi) > 65535:
			return "is outside the ports from 1024 to 65535", "it must be " + rangeWhat
		case lo > hi:
			return "begins above its end", "write " + quote(last+"-"+first)
		}
		return "", ""
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return "is neither a CIDR nor a range of ports", "it must be " + rangeWhat
	}
	if !loopback.Contains(p.Addr()) || p.Bits() < loopback.Bits() {
		return "is not inside 127.0.0.0/8", "it must be " + rangeWhat
	}
	if p != p.Masked() {
		return "has bits of an address beyond its length", "write " + quote(p.Masked().String())
	}
	for _, t := range taken {
		if t.Contains(p.Addr()) && p.Bits() >= t.Bits() {
			return "is wholly inside " + t.String() + ", which others use", `choose another, such as "127.77.0.0/16"`
		}
	}
	return "", ""
}

// isPorts tells a range of ports from a CIDR.
func isPorts(text string) bool {
	first, last, found := strings.Cut(text, "-")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return found && digits(first) && digits(last)
}
