package upstream_test

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// rote answers every read that follows a write with the same bytes: an engine that costs nothing.
type rote struct {
	script
	answer []byte
	writes int
}

func (r *rote) Write(p []byte) (int, error) {
	r.writes++
	r.left = r.answer
	return len(p), nil
}

func roteDial(r *rote) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return r, nil }
}

const jsonAnswer = "HTTP/1.1 200 OK\r\nServer: uvicorn\r\nContent-Length: 11\r\nContent-Type: application/json\r\n\r\n{\"a\":\"bcd\"}"

func streamAnswer(events int) string {
	event := `data: {"id":"chatcmpl-17","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}` + "\n\n"
	chunk := strconv.FormatInt(int64(len(event)), 16) + "\r\n" + event + "\r\n"
	return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n" + strings.Repeat(chunk, events) + "0\r\n\r\n"
}

func TestSmallRequestIsOneWrite(t *testing.T) {
	r := &rote{answer: []byte(jsonAnswer)}
	c := upstream.New(upstream.Config{Dial: roteDial(r)})
	defer c.Close()
	mustExchange(t, c, post("engine:1", `{"model":`, `"m"}`), `{"a":"bcd"}`)
	if r.writes != 1 {
		t.Errorf("got %d writes, want 1", r.writes)
	}
}

func TestExchangeOverAPooledConnectionAllocatesNothing(t *testing.T) {
	for name, answer := range map[string]string{"json": jsonAnswer, "stream": streamAnswer(50)} {
		c := upstream.New(upstream.Config{Dial: roteDial(&rote{answer: []byte(answer)})})
		defer c.Close()
		var call upstream.Call
		r := post("engine:1", `{"model":`, `"m"}`)
		allocs := testing.AllocsPerRun(100, func() { drain(t, c, &call, r) })
		if allocs > 0 {
			t.Errorf("%s: got %v allocations, want 0", name, allocs)
		}
	}
}

func drain(tb testing.TB, c *upstream.Client, call *upstream.Call, r *upstream.Request) {
	if err := c.Do(call, r); err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := call.Next(4096); err == io.EOF {
			break
		} else if err != nil {
			tb.Fatal(err)
		}
	}
	call.Close()
	call.Reset()
}

func BenchmarkDo(b *testing.B) {
	for _, bench := range []struct{ name, answer string }{{"json", jsonAnswer}, {"stream100", streamAnswer(100)}} {
		b.Run("memory/"+bench.name, func(b *testing.B) {
			c := upstream.New(upstream.Config{Dial: roteDial(&rote{answer: []byte(bench.answer)})})
			defer c.Close()
			benchmarkDo(b, c, "engine:1")
		})
		b.Run("tcp/"+bench.name, func(b *testing.B) {
			e := newEngine(b, answering(bench.answer))
			c := newClient(b, upstream.Config{})
			benchmarkDo(b, c, e.addr)
		})
	}
}

func benchmarkDo(b *testing.B, c *upstream.Client, addr string) {
	var call upstream.Call
	r := post(addr, `{"model":"m","messages":[{"role":"user","content":"`+strings.Repeat("a", 500)+`"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		r.Total = time.Minute
		drain(b, c, &call, r)
	}
}
