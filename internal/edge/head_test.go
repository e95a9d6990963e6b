package edge

import (
	"strings"
	"testing"
)

func TestStrict(t *testing.T) {
	for fields, want := range map[string]bool{
		"Host: a\r\n\r\n":                               true,
		"Host: a\r\nX: \r\nY:b c\td\r\n\r\n":            true,
		"Host: a\r\nContent-Length: 3\r\n\r\n":          true,
		"Host: a\r\ntransfer-encoding: Chunked\r\n\r\n": true,
		"":                            true,
		"Host: a\nX: b\r\n\r\n":       false,
		"Host: a\r\nX: b\n\r\n":       false,
		"Host: a\r\nX: b\r\n\n":       false,
		"Host: a\r\n X: b\r\n\r\n":    false,
		"Host: a\r\n\tb\r\n\r\n":      false,
		"Host: a\r\nX Y: b\r\n\r\n":   false,
		"Host: a\r\nX : b\r\n\r\n":    false,
		"Host: a\r\n: b\r\n\r\n":      false,
		"Host: a\r\nX\r\n\r\n":        false,
		"Host: a\r\nX: b":             false,
		"Host: a\r\n\r\nX: b\r\n\r\n": false,
		"content-length: 3\r\nTransfer-Encoding: chunked\r\n\r\n":           false,
		"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n":           false,
		"Transfer-Encoding: identity\r\n\r\n":                               false,
		"Transfer-Encoding: gzip, chunked\r\n\r\n":                          false,
		"X-Content-Length: 3\r\nTransfer-Encoding: chunked\r\nY: 1\r\n\r\n": true,
	} {
		if got := strict([]byte(fields)); got != want {
			t.Errorf("%q: got %v, want %v", fields, got, want)
		}
	}
}

// However a request line arrives in pieces, its end is seen, and nothing of what follows is taken for it.
func TestRequestLine(t *testing.T) {
	const rest = "Host: a\r\n\r\nbody\nwith\nlines"
	for sent, want := range map[string]lineStage{
		"GET / HTTP/1.1\r\n" + rest:              lineWhole,
		"\r\n\r\nGET / HTTP/1.1\r\n" + rest:      lineWhole,
		"GET / HTTP/1.1\n" + rest:                lineBare,
		"\nGET / HTTP/1.1\r\n" + rest:            lineBare,
		"\r\nGET / HTTP/1.1\n" + rest:            lineBare,
		"GET / HTTP/1.1":                         lineReading,
		"GET /\rx HTTP/1.1\r\n" + rest:           lineWhole,
		strings.Repeat("a", 100) + "\r\n" + rest: lineWhole,
	} {
		for size := 1; size <= len(sent); size++ {
			var l requestLine
			buf := make([]byte, HeadLimit)
			at := 0
			for i := 0; i < len(sent); i += size {
				n := copy(buf[at:], sent[i:min(i+size, len(sent))])
				l.read(buf[at:], n)
				at += n
			}
			if l.stage != want {
				t.Errorf("%q in pieces of %d: got %d, want %d", sent, size, l.stage, want)
			}
		}
	}
}

func TestRequestLine_OfAPipelinedRequestIsNotWatched(t *testing.T) {
	var l requestLine
	l.awaited()
	l.begun() // with what had been read before
	l.read(make([]byte, HeadLimit), 0)
	body := []byte("a\nb")
	buf := append(make([]byte, 0, HeadLimit), body...)[:HeadLimit]
	l.read(buf, len(body))
	if l.stage != lineUnknown {
		t.Errorf("got %d, want the body not taken for a request line", l.stage)
	}
}
