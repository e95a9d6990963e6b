package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// target is one thing that answers chat completions: the engine itself, nginx before it, or Pilotlight.
type target struct {
	name  string
	addr  string
	token string
	from  net.Addr // of who asks it; nil = any
	proc  *process // nil = its CPU is not measured
}

// loopback is one of the addresses that a machine has for itself. A server may give one address three quarters of its connections.
func loopback(n byte) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, n)} }

// request is a chat completion in wire form, padded to about 600 bytes of body.
func (t *target) request(prompt string, stream bool) []byte {
	const padding = 420
	pad := bytes.Repeat([]byte("lorem "), padding/6)
	body := fmt.Sprintf(`{"model":"bench","messages":[{"role":"system","content":"%s"},{"role":"user","content":"%s "}],"max_tokens":16,"stream":%t}`, pad, prompt, stream)
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		t.addr, t.token, len(body), body)
}

// client is one keep-alive connection.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func (t *target) dial() (*client, error) {
	conn, err := (&net.Dialer{LocalAddr: t.from}).Dial("tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", t.name, err)
	}
	return &client{conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// head reads a response head; length is -1 for a chunked body.
func (c *client) head() (status, length int, err error) {
	length = -1
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 {
				return 0, 0, fmt.Errorf("malformed status line %q", line)
			}
			status, _ = strconv.Atoi(string(line[9:12]))
		case len(line) == 0:
			return status, length, nil
		case len(line) > 15 && bytes.EqualFold(line[:15], []byte("content-length:")):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(line[15:])))
		}
	}
}

// exchange sends a request and reads its answer whole.
func (c *client) exchange(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, length, err := c.head()
	if err != nil {
		return err
	}
	if status != 200 || length < 0 {
		body, _ := io.ReadAll(io.LimitReader(c.r, 300))
		return fmt.Errorf("answer with status %d: %s", status, body)
	}
	_, err = c.r.Discard(length)
	return err
}

// closedLoop keeps n connections busy for the window and returns every latency. The first request that fails ends it.
func closedLoop(ctx context.Context, t *target, n int, window time.Duration) ([]time.Duration, error) {
	w := &wire{target: t, request: t.request("hello", false), idle: make(chan *client, n), stop: make(chan struct{})}
	defer w.close()
	var latencies []time.Duration
	err := bench.Run(ctx, bench.Config{
		Plan: bench.Repeat(bench.Request{Model: "bench"}, nil), Sender: w, Closed: true, AtOnce: n, For: window, Stop: w.stop,
		Keep: func(s *bench.Sample) {
			w.mu.Lock()
			defer w.mu.Unlock()
			latencies = append(latencies, s.End.Sub(s.Sent))
		},
	})
	if err = errors.Join(err, w.err); err != nil {
		return nil, fmt.Errorf("loading %s: %w", t.name, err)
	}
	return latencies, ctx.Err()
}

// wire sends the same small request again and again on kept connections. It looks at no more of an answer than it must: on a machine that runs
// the load, too, whatever the load costs is taken from what is measured.
type wire struct {
	target  *target
	request []byte
	idle    chan *client
	stop    chan struct{} // closed by the first failure

	mu  sync.Mutex // guards err, and what Keep gathers
	err error
}

// Send makes one exchange.
func (w *wire) Send(_ context.Context, _ *bench.Request, s *bench.Sample) {
	c, err := w.connection()
	s.Sent = time.Now()
	if err == nil {
		err = c.exchange(w.request)
	}
	s.End = time.Now()
	if err == nil {
		w.idle <- c
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		close(w.stop)
	}
}

func (w *wire) connection() (*client, error) {
	select {
	case c := <-w.idle:
		return c, nil
	default:
		return w.target.dial()
	}
}

func (w *wire) close() {
	for len(w.idle) > 0 {
		(<-w.idle).conn.Close()
	}
}

// streamed is what a client saw of one stream.
type streamed struct {
	events   int
	delays   []time.Duration // from the engine's write to the client's read
	complete bool            // ended by [DONE] and a clean last chunk
}

// stream reads one streamed answer to its end.
func (c *client) stream(request []byte) (streamed, error) {
	var s streamed
	if _, err := c.conn.Write(request); err != nil {
		return s, err
	}
	status, _, err := c.head()
	if err != nil {
		return s, err
	}
	if status != 200 {
		body, _ := io.ReadAll(io.LimitReader(c.r, 300))
		return s, fmt.Errorf("answer with status %d: %s", status, body)
	}
	done := false
	var part []byte // of a line, in the last chunk: who sits between may cut anywhere
	for {
		chunk, err := c.chunk()
		if err != nil {
			return s, err
		}
		if chunk == nil {
			s.complete = done
			return s, nil
		}
		now := time.Now().UnixNano()
		rest := append(part, chunk...)
		end := bytes.LastIndexByte(rest, '\n') + 1
		rest, part = rest[:end], append([]byte(nil), rest[end:]...)
		done = done || bytes.Contains(rest, bytes.TrimSpace(openai.Done))
		for {
			i := bytes.Index(rest, []byte("at="))
			if i < 0 {
				break
			}
			rest = rest[i+3:]
			if end := bytes.IndexByte(rest, ' '); end > 0 {
				at, _ := strconv.ParseInt(string(rest[:end]), 10, 64)
				s.delays = append(s.delays, time.Duration(now-at))
				s.events++
			}
		}
	}
}

// chunk reads one chunk of a chunked body; nil is the end.
func (c *client) chunk() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
	if err != nil {
		return nil, fmt.Errorf("reading a chunk size: %w", err)
	}
	data := make([]byte, size+2)
	if _, err := io.ReadFull(c.r, data); err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, nil
	}
	return data[:size], nil
}
