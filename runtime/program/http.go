package program

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// askHTTP is a plain GET; a status of 2xx is nil. net/http would be linked into
// every test binary for it.
func (c *check) askHTTP(ctx context.Context, addr, path string) error {
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: dist\r\nAccept: */*\r\nConnection: close\r\n\r\n", path, addr)
	if err != nil {
		return fmt.Errorf("%s: %w", addr, plain(err))
	}
	return readHTTP(conn, addr)
}

// readHTTP reads the answer of a server, or of whatever is there.
func readHTTP(conn io.Reader, addr string) error {
	r := textproto.NewReader(bufio.NewReader(io.LimitReader(conn, maxAnswer)))
	for {
		line, _, err := r.R.ReadLine()
		status := string(line)
		if err != nil {
			return fmt.Errorf("%s closed the connection without an answer: %w", addr, plain(err))
		}
		code, reason, ok := parseStatus(status)
		if !ok {
			return fmt.Errorf("%s does not speak HTTP: it says %.60q", addr, status)
		}
		header, err := r.ReadMIMEHeader()
		if code/100 == 1 && err == nil { // an answer is still to come
			continue
		}
		switch {
		case code/100 == 2:
			return nil
		case code/100 == 3:
			return fmt.Errorf("HTTP %d %s: redirected to %.200q; 2xx is wanted", code, reason, header.Get("Location"))
		}
		text := fmt.Sprintf("HTTP %d %s", code, reason)
		if err == nil {
			if said := firstWords(r.R, header); said != "" {
				text += fmt.Sprintf(": %.200q", said)
			}
		}
		return fmt.Errorf("%s", strings.TrimSpace(text))
	}
}

// parseStatus reads a line such as "HTTP/1.1 200 OK".
func parseStatus(line string) (code int, reason string, ok bool) {
	version, rest, _ := strings.Cut(line, " ")
	digits, reason, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(digits)
	ok = strings.HasPrefix(version, "HTTP/1.") && err == nil && len(digits) == 3 && code >= 100
	return code, terse(reason), ok
}

// terse is what a server says as it may be shown: it goes to a terminal.
func terse(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, text)
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
	}
	return strings.TrimSpace(text)
}

// firstWords is the first line of a body that says something.
func firstWords(r *bufio.Reader, header textproto.MIMEHeader) string {
	if strings.EqualFold(header.Get("Transfer-Encoding"), "chunked") {
		r.ReadString('\n') // the size of the first chunk
	}
	body, _ := io.ReadAll(io.LimitReader(r, 1024))
	for line := range bytes.Lines(body) {
		if s := strings.TrimSpace(strings.ToValidUTF8(string(line), "")); s != "" {
			return s
		}
	}
	return ""
}
