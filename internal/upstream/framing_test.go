package upstream_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// answers are raw answers of an engine that then closes the connection, and what they are to us.
var answers = []struct {
	name, raw string
	body      string
	err       string // "" = a clean end; "protocol"; "cut"
	method    string
}{
	{name: "length", raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", body: "hello"},
	{name: "length zero", raw: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{name: "no reason", raw: "HTTP/1.1 200\r\ncontent-length:2\r\n\r\nok", body: "ok"},
	{name: "chunks", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", body: "hello"},
	{name: "chunk extension", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n", body: "hello"},
	{name: "hex sizes", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", body: "01234567890123456789a"},
	{name: "trailer", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n", body: "hi"},
	{name: "until close", raw: "HTTP/1.1 200 OK\r\n\r\nall of it", body: "all of it"},
	{name: "1.0 until close", raw: "HTTP/1.0 200 OK\r\n\r\nold", body: "old"},
	{name: "interim", raw: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", body: "ok"},
	{name: "head", method: "HEAD", raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
	{name: "204", raw: "HTTP/1.1 204 No Content\r\n\r\n"},
	{name: "304", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},

	{name: "cut in length", raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", body: "hell", err: "cut"},
	{name: "cut in chunk", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", body: "hel", err: "cut"},
	{name: "cut between chunks", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", body: "hello", err: "cut"},
	{name: "cut in last chunk", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", body: "hello", err: "cut"},
	{name: "cut in size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", err: "cut"},
	{name: "cut in head", raw: "HTTP/1.1 200 OK\r\nContent-Le", err: "cut"},
	{name: "nothing", raw: "", err: "cut"},

	{name: "length and chunked", raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", err: "protocol"},
	{name: "two lengths", raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello", err: "protocol"},
	{name: "length list", raw: "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", err: "protocol"},
	{name: "signed length", raw: "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", err: "protocol"},
	{name: "empty length", raw: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", err: "protocol"},
	{name: "huge length", raw: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello", err: "protocol"},
	{name: "other encoding", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", err: "protocol"},
	{name: "x-chunked", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", err: "protocol"},
	{name: "chunked twice", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: "protocol"},
	{name: "chunked in 1.0", raw: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: "protocol"},
	{name: "bare newline in head", raw: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", err: "protocol"},
	{name: "folded line", raw: "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", err: "protocol"},
	{name: "space before colon", raw: "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", err: "protocol"},
	{name: "no colon", raw: "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", err: "protocol"},
	{name: "NUL in value", raw: "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok", err: "protocol"},
	{name: "CR in value", raw: "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok", err: "protocol"},
	{name: "not HTTP", raw: "SSH-2.0-OpenSSH\r\n", err: "protocol"},
	{name: "HTTP/2 version", raw: "HTTP/2.0 200 OK\r\n\r\n", err: "protocol"},
	{name: "status of two digits", raw: "HTTP/1.1 20 OK\r\n\r\n", err: "protocol"},
	{name: "status of four digits", raw: "HTTP/1.1 2000 OK\r\n\r\n", err: "protocol"},
	{name: "switching", raw: "HTTP/1.1 101 Switching Protocols\r\n\r\n", err: "protocol"},
	{name: "head too long", raw: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n", err: "protocol"},
	{name: "interim without end", raw: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 4000), err: "protocol"},
	{name: "no size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello", err: "protocol"},
	{name: "bad size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5g\r\nhello\r\n0\r\n\r\n", err: "protocol"},
	{name: "signed size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", err: "protocol"},
	{name: "0x size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", err: "protocol"},
	{name: "huge size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello", err: "protocol"},
	{name: "bare newline after size", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", err: "protocol"},
	{name: "chunk without CRLF", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", body: "hello", err: "protocol"},
	{name: "extension too long", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n", err: "protocol"},
	{name: "endless trailer", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: aaaaaaaa\r\n", 6000), err: "protocol"},
	{name: "bad trailer", raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n", err: "protocol"},
}

func TestFraming(t *testing.T) {
	for _, tt := range answers {
		for _, size := range []int{0, 1, 3, 7} { // of the pieces in which the answer comes; 0 = one
			c := upstream.New(upstream.Config{Dial: scripted(tt.raw, size)})
			r := post("engine:1")
			if tt.method != "" {
				r.Method = tt.method
			}
			_, body, err := exchange(c, r)
			var protocol *upstream.ProtocolError
			got := ""
			switch {
			case errors.As(err, &protocol):
				got = "protocol"
			case errors.Is(err, io.ErrUnexpectedEOF):
				got = "cut"
			case err != nil:
				got = err.Error()
			}
			if got != tt.err || body != tt.body {
				t.Errorf("%s, pieces of %d: got body %q, error %q (%v); want %q, %q", tt.name, size, body, got, err, tt.body, tt.err)
			}
			c.Close()
		}
	}
}

// scripted gives a Dial whose connections say raw, in pieces of size bytes, and then end.
func scripted(raw string, size int) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		return &script{left: []byte(raw), size: size}, nil
	}
}

// script is a connection that takes everything and says what it was told to.
type script struct {
	left []byte
	size int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	n := len(s.left)
	if s.size > 0 {
		n = min(n, s.size)
	}
	n = copy(p, s.left[:n])
	s.left = s.left[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// FuzzAnswer checks that what we accept, net/http accepts too and reads as the same body, however it was cut into pieces.
func FuzzAnswer(f *testing.F) {
	for _, tt := range answers {
		if len(tt.raw) < 1000 {
			f.Add([]byte(tt.raw), uint8(len(tt.raw)%9), uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, size, most uint8) {
		c := upstream.New(upstream.Config{Dial: scripted(string(raw), int(size))})
		defer c.Close()
		var call upstream.Call
		defer call.Close()
		err := c.Do(&call, post("engine:1"))
		var body string
		if err == nil {
			body, _, err = readAll(&call, int(most))
		}
		if err != nil {
			return
		}
		want, wantErr := reference(raw)
		if wantErr != nil {
			if strings.Contains(wantErr.Error(), "trailer") || strings.Contains(wantErr.Error(), "excessive chunk") {
				return // limits of theirs
			}
			t.Fatalf("accepted %q as %q, which net/http refuses: %v", raw, body, wantErr)
		}
		if body != want {
			t.Fatalf("got body %q, want %q", body, want)
		}
	})
}

func reference(raw []byte) (string, error) {
	br := bufio.NewReader(bytes.NewReader(raw))
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: "POST"})
		if err != nil {
			return "", err
		}
		if resp.StatusCode < 200 && resp.StatusCode != 101 {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
}

func TestOneReadIsOnePiece(t *testing.T) {
	var raw strings.Builder
	raw.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 20 {
		raw.WriteString("a\r\n0123456789\r\n")
	}
	raw.WriteString("0\r\n\r\n")
	c := upstream.New(upstream.Config{Dial: scripted(raw.String(), 0)})
	defer c.Close()
	var call upstream.Call
	defer call.Close()
	if err := c.Do(&call, post("engine:1")); err != nil {
		t.Fatal(err)
	}
	body, pieces, err := readAll(&call, 0)
	if err != nil || len(body) != 200 || pieces != 1 {
		t.Errorf("got %d bytes in %d pieces, error %v; want 200 in 1", len(body), pieces, err)
	}
}

func TestNextGivesAtMostWhatWasAsked(t *testing.T) {
	raw := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
	c := upstream.New(upstream.Config{Dial: scripted(raw, 0)})
	defer c.Close()
	var call upstream.Call
	defer call.Close()
	if err := c.Do(&call, post("engine:1")); err != nil {
		t.Fatal(err)
	}
	body, pieces, err := readAll(&call, 3)
	if err != nil || body != "helloworld" || pieces != 4 {
		t.Errorf("got %q in %d pieces, error %v; want helloworld in 4", body, pieces, err)
	}
}

// TestNext_BurstsAndPauses: however fast an engine writes, and however the buffer is changed for it, its bytes come as they were written.
func TestNext_BurstsAndPauses(t *testing.T) {
	var want bytes.Buffer
	for _, size := range []int{100_000, 10, 9_000, 40_000, 1, 8_192, 16_384, 3, 70_000} {
		for n := range size {
			want.WriteByte(byte('a' + (want.Len()+n)%26))
		}
	}
	taken := make(chan bool)
	e := newEngine(t, func(_ int64, c *serverConn) {
		for {
			if _, _, ok := c.request(); !ok {
				return
			}
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for rest := want.Bytes(); len(rest) > 0; {
				for range 30 { // at once, in chunks of a size that fits no buffer
					n := min(777, len(rest))
					fmt.Fprintf(c, "%x\r\n%s\r\n", n, rest[:n])
					rest = rest[n:]
					if n < 777 {
						break
					}
				}
				<-taken
			}
			c.say("0\r\n\r\n")
		}
	})
	cl := newClient(t, upstream.Config{})
	var call upstream.Call
	for range 3 { // on one connection
		if err := cl.Do(&call, post(e.addr, "{}")); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for {
			piece, err := call.NextBy(0, time.Now().Add(20*time.Millisecond))
			got.Write(piece)
			if errors.Is(err, upstream.ErrNotYet) {
				taken <- true
				continue
			}
			if err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				break
			}
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatalf("got %d bytes that are not the %d written", got.Len(), want.Len())
		}
		call.Close()
	}
	if n := e.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
