package events

import (
	"strconv"
	"unicode/utf8"
)

// Bounds of a line: a string is cut, and so is a list.
const (
	maxLine   = 64 << 10
	maxShort  = 1 << 10 // bytes of a name
	maxLong   = 8 << 10 // bytes of a text, as they are written
	maxMany   = 64      // names in a list
	maxPairs  = 1024
	cutMark   = "…"
	hexDigits = "0123456789abcdef"
)

// append adds the event's line to b.
func (e *Event) append(b []byte) []byte {
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, int64(e.At), 10)
	b = append(b, `,"kind":"`...)
	b = append(b, e.Kind...)
	b = append(b, '"')
	if e.Dur != 0 {
		b = append(b, `,"dur":`...)
		b = strconv.AppendInt(b, int64(e.Dur), 10)
	}
	b = appendString(b, `,"test":`, e.Test, maxShort)
	b = appendString(b, `,"cluster":`, e.Cluster, maxShort)
	b = appendString(b, `,"node":`, e.Node, maxShort)
	b = appendString(b, `,"peer":`, e.Peer, maxShort)
	b = appendUint(b, `,"id":`, e.ID)
	b = appendString(b, `,"what":`, e.What, maxShort)
	b = appendString(b, `,"text":`, e.Text, maxLong)
	b = appendString(b, `,"outcome":`, e.Outcome, maxShort)
	b = appendString(b, `,"error":`, e.Error, maxLong)
	b = appendString(b, `,"reason":`, e.Reason, maxLong)
	b = appendUint(b, `,"pid":`, uint64(max(e.PID, 0)))
	b = appendUint(b, `,"size":`, uint64(max(e.Size, 0)))
	b = appendUint(b, `,"seed":`, e.Seed)
	b = appendUint(b, `,"bytes":`, uint64(max(e.Bytes, 0)))
	b = appendString(b, `,"code":`, e.Code, maxShort)
	b = appendString(b, `,"file":`, e.File, maxShort)
	if e.Reused {
		b = append(b, `,"reused":true`...)
	}
	b = appendStrings(b, `,"nodes":`, e.Nodes)
	b = appendStrings(b, `,"addrs":`, e.Addrs)
	if e.Pairs != nil {
		b = append(b, `,"pairs":[`...)
		for i, p := range e.Pairs[:min(len(e.Pairs), maxPairs)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '[')
			b = quote(b, p[0], 32)
			b = append(b, ',')
			b = quote(b, p[1], 32)
			b = append(b, ']')
		}
		b = append(b, ']')
	}
	return append(b, '}', '\n')
}

func appendString(b []byte, key, s string, most int) []byte {
	if s == "" {
		return b
	}
	return quote(append(b, key...), s, most)
}

func appendUint(b []byte, key string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(append(b, key...), n, 10)
}

func appendStrings(b []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(append(b, key...), '[')
	for i, s := range list[:min(len(list), maxMany)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, s, 64)
	}
	return append(b, ']')
}

// quote adds s as a JSON string of not much more than most bytes. What is not
// UTF-8 becomes the replacement character.
func quote(b []byte, s string, most int) []byte {
	b = append(b, '"')
	start, end := 0, len(b)+most
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			if i++; len(b)+i-start >= end {
				b = append(b, s[start:i]...)
				return append(b, cutMark+`"`...)
			}
			continue
		}
		b = append(b, s[start:i]...)
		size := 1
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < utf8.RuneSelf:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r) // that of an invalid byte is the replacement character
		}
		i += size
		if start = i; len(b) >= end && i < len(s) {
			return append(b, cutMark+`"`...)
		}
	}
	return append(append(b, s[start:]...), '"')
}
