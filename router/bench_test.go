package router_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// reply makes all engines answer with fixed bytes, without net/http, so that a benchmark counts the router.
func (w *world) reply(b *testing.B, answer string, piece int) {
	w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
		c, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		send(b, c, answer, piece)
		r := bufio.NewReaderSize(c, 8<<10)
		for skipRequest(r) == nil {
			send(b, c, answer, piece)
		}
	})
}

func send(b *testing.B, c net.Conn, answer string, piece int) {
	for p := []byte(answer); len(p) > 0; {
		n := min(piece, len(p))
		if _, err := c.Write(p[:n]); err != nil {
			return
		}
		p = p[n:]
	}
}

var lengthHeader = []byte("Content-Length: ")

// skipRequest reads one request, without allocating.
func skipRequest(r *bufio.Reader) error {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if n, ok := bytes.CutPrefix(line, lengthHeader); ok {
			for _, d := range bytes.TrimSpace(n) {
				length = length*10 + int(d-'0')
			}
		}
		if len(line) == 2 {
			_, err := r.Discard(length)
			return err
		}
	}
}

const wholeReply = `{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}`

func BenchmarkWhole(b *testing.B) {
	w := newWorld(b, setup{tcp: true})
	w.heat(chatModel)
	w.reply(b, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(wholeReply), wholeReply), 1<<20)
	w.hammer(b, chat(chatModel), `"completion_tokens":3}}`)
}

func BenchmarkStream100(b *testing.B) {
	w := newWorld(b, setup{tcp: true})
	w.heat(chatModel)
	var s strings.Builder
	s.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	event := token(strings.Repeat("x", 100))
	for range 100 {
		fmt.Fprintf(&s, "%x\r\n%s\r\n", len(event), event)
	}
	end := usageChunk + "data: [DONE]\n\n"
	fmt.Fprintf(&s, "%x\r\n%s\r\n0\r\n\r\n", len(end), end)
	w.reply(b, s.String(), len(event)+6)
	w.hammer(b, chat(chatModel, stream), "data: [DONE]\n\n\r\n0\r\n\r\n")
}

// hammer sends requests one after the other on one connection.
func (w *world) hammer(b *testing.B, body, end string) {
	c := w.dial()
	defer c.Close()
	request := []byte(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", w.secret, len(body), body))
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], []byte(end)); {
			got, err := c.Conn.Read(buf[n:])
			if n += got; err != nil {
				b.Fatal(err, string(buf[:n]))
			}
		}
	}
}
