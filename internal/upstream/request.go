package upstream

import (
	"bytes"
	"strconv"
	"time"
)

// Request is one request to an engine. Do keeps nothing of it.
type Request struct {
	Method      string        // "" = POST
	Addr        string        // host:port, IPv6 hosts in brackets
	Path        string        // with the query, if any
	ContentType string        // "" = none
	Header      []byte        // more header lines, each ending in \r\n
	Body        [][]byte      // sent one after the other; not changed
	FirstByte   time.Duration // from dispatch to the first byte of the body, so also to the head; 0 = no limit
	Idle        time.Duration // silence between two bytes of the body; 0 = no limit
	Total       time.Duration // of the whole exchange, from Do on; 0 = no limit
	Sent        Sent          // nil = nobody is told
}

// Sent is told when a request is sent.
type Sent interface {
	// Sent is called just before the first byte is written, with what Dispatched then gives: once for each connection that is tried.
	Sent(at time.Time)
}

func (r *Request) method() string {
	if r.Method == "" {
		return "POST"
	}
	return r.Method
}

// check refuses what would be read as more than one request, or none.
func (r *Request) check() error {
	switch {
	case !isToken(r.method()):
		return &ProtocolError{Reason: "the method of the request is not one"}
	case r.Addr == "" || !visible(r.Addr):
		return &ProtocolError{Reason: "the address of the request is not host:port"}
	case r.Path == "" || r.Path[0] != '/' || !visible(r.Path):
		return &ProtocolError{Reason: "the path of the request is not one"}
	case !isValue(r.ContentType):
		return &ProtocolError{Reason: "the content type of the request is not one"}
	case !isLines(r.Header):
		return &ProtocolError{Reason: "the header lines of the request are not lines"}
	}
	return nil
}

func (r *Request) length() (n int64) {
	for _, b := range r.Body {
		n += int64(len(b))
	}
	return n
}

// appendHead appends the request line and the header.
func (r *Request) appendHead(dst []byte, length int64) []byte {
	dst = append(append(append(dst, r.method()...), ' '), r.Path...)
	dst = append(append(dst, " HTTP/1.1\r\nHost: "...), r.Addr...)
	if r.ContentType != "" {
		dst = append(append(dst, "\r\nContent-Type: "...), r.ContentType...)
	}
	if length > 0 || r.method() != "GET" && r.method() != "HEAD" {
		dst = strconv.AppendInt(append(dst, "\r\nContent-Length: "...), length, 10)
	}
	dst = append(append(dst, "\r\n"...), r.Header...)
	return append(dst, "\r\n"...)
}

func isToken[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return len(s) > 0
}

// tokenByte has the bytes of a token (RFC 9110 section 5.6.2).
var tokenByte = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

func visible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isValue reports whether s may be the value of a header line: no control characters but the tab.
func isValue[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isLines(b []byte) bool {
	for len(b) > 0 {
		end := bytes.Index(b, []byte("\r\n"))
		if end <= 0 || !isValue(b[:end]) || !isToken(b[:max(bytes.IndexByte(b[:end], ':'), 0)]) {
			return false
		}
		b = b[end+2:]
	}
	return true
}
