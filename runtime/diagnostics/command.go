package diagnostics

import "strings"

// CommandLine is a command line for people, of a process that need not be ours:
// cut to what is readable, and without what looks like a secret, since what a
// test prints is kept in the logs of CI. arguments end in NUL, as in
// /proc/PID/cmdline.
//
// What is taken for a secret: all that follows a name like password=, --token or
// Authorization: in an argument; the next argument if the name ends its own; and
// who logs in, in a URL.
func CommandLine(arguments string) string {
	const most = 120 // bytes
	var b strings.Builder
	next := false
	for arg := range strings.SplitSeq(strings.TrimRight(arguments, "\x00"), "\x00") {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if b.Len() > most {
			break
		}
		if next {
			if arg != "" {
				b.WriteString(masked)
				next = false
			}
			continue
		}
		arg, next = mask(arg)
		b.WriteString(arg)
	}
	line := strings.TrimSpace(strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f { // would break the line
			return ' '
		}
		return r
	}, b.String()), "\ufffd"))
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}

const masked = "***"

// secretNames are parts of the names of what must not be shown, in small letters.
var secretNames = []string{
	"password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "authorization", "bearer", "cookie",
	"apikey", "api-key", "api_key", "accesskey", "access-key", "access_key", "privatekey", "private-key", "private_key",
}

// mask takes the secrets out of an argument. next tells that the argument after
// it is one.
func mask(arg string) (_ string, next bool) {
	arg = maskUser(arg)
	small := lower(arg)
	for at := 0; at < len(small); {
		i, n := indexSecret(small[at:])
		if i < 0 {
			break
		}
		begin, end := at+i, at+i+n
		for begin > 0 && inName(small[begin-1]) {
			begin--
		}
		for end < len(small) && inName(small[end]) {
			end++
		}
		at = end
		rest := strings.TrimLeft(small[end:], " \t\n\"'") // {"token": …}
		flag := small[begin] == '-' || strings.HasSuffix(small[begin:at], "bearer")
		switch {
		case rest == "":
			if flag {
				return arg, true
			}
		case rest[0] == '=' || rest[0] == ':':
			rest = strings.TrimLeft(rest[1:], " \t\n")
			if rest == "" {
				return arg, true
			}
			return arg[:len(arg)-len(rest)] + masked, false
		case flag && len(rest) < len(small)-end:
			return arg[:len(arg)-len(rest)] + masked, false
		}
	}
	return arg, false
}

// maskUser takes out of each URL who logs in, and by what.
func maskUser(arg string) string {
	done := 0
	for {
		i := strings.Index(arg[done:], "://")
		if i < 0 {
			return arg
		}
		host := done + i + len("://")
		end := host
		for end < len(arg) && !strings.ContainsRune("/?# \t", rune(arg[end])) {
			end++
		}
		done = host
		if at := strings.LastIndexByte(arg[host:end], '@'); at >= 0 {
			arg = arg[:host] + masked + arg[host+at:]
			done = host + len(masked)
		}
	}
}

func indexSecret(s string) (at, n int) {
	at = -1
	for _, name := range secretNames {
		if i := strings.Index(s, name); i >= 0 && (at < 0 || i < at) {
			at, n = i, len(name)
		}
	}
	return at, n
}

// lower is strings.ToLower for ASCII, which changes no length.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func inName(c byte) bool {
	return c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}
