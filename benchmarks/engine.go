package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// engineCmd is the fake engine: as fast as a Go program can answer, so that what is measured is what sits in front of it.
// A request's prompt tells it what to do: "events=100 interval=20ms" in a streamed one.
//
// With --report it sends a datagram for each thing a scenario times, stamped by this machine's clock.
type engineCmd struct {
	Host   string        `default:"127.0.0.1"`
	Port   int           `required:""`
	Load   time.Duration `help:"Time before it listens."`
	Report string        `help:"UDP address that is told of events."`
	Silent bool          `help:"Writes no line when it listens, as every server does."`
	Model  string        `help:"Ignored; here for command lines that name one."`
}

// born is when this program began. Before this is set its thread has loaded it and initialised its packages, which is the engine's own start
// too. What it had to wait for meanwhile, such as a processor, is not known and counts as Pilotlight's.
var born = time.Now().Add(-ran())

// ran is how long the thread has been on a CPU since its process was made (Linux; elsewhere 0).
func ran() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var used syscall.Rusage
	if err := syscall.Getrusage(thread, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (e *engineCmd) Run(ctx context.Context) error {
	select {
	case <-time.After(e.Load):
	case <-ctx.Done():
		return nil
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(e.Host, strconv.Itoa(e.Port)))
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	s := &fakeEngine{}
	if e.Report != "" {
		if s.report, err = net.Dial("udp", e.Report); err != nil {
			return fmt.Errorf("dialing the report address: %w", err)
		}
	}
	s.tell("listening", strconv.FormatInt(born.UnixNano(), 10))
	if !e.Silent {
		fmt.Fprintln(os.Stderr, "listening on", ln.Addr())
	}
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		conns.Go(func() { s.serve(conn) })
	}
}

type fakeEngine struct {
	report net.Conn
}

// tell reports "event tag nanoseconds" to the scenario.
func (s *fakeEngine) tell(event, tag string) {
	if s.report != nil {
		fmt.Fprintf(s.report, "%s %s %d", event, tag, time.Now().UnixNano())
	}
}

func (s *fakeEngine) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 8<<10)
	var body []byte
	for {
		path, n, err := readHead(r)
		if err != nil {
			return
		}
		if cap(body) < n {
			body = make([]byte, n)
		}
		body = body[:n]
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		if err := s.answer(conn, r, path, body); err != nil {
			return
		}
	}
}

// readHead reads a request's head and returns its path and its body's length.
func readHead(r *bufio.Reader) (path string, length int, err error) {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			fields := bytes.Fields(line)
			if len(fields) < 2 {
				return "", 0, errors.New("malformed request line")
			}
			path = string(fields[1])
		case len(line) == 0:
			return path, length, nil
		case len(line) > 15 && bytes.EqualFold(line[:15], []byte("content-length:")):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(line[15:])))
		}
	}
}

var smallAnswer = []byte(`{"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion","created":1760000000,"model":"bench",` +
	`"choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("benchmark ", 8) + `"},"logprobs":null,"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":100,"total_tokens":116,"completion_tokens":16,"prompt_tokens_details":{"cached_tokens":0}}}`)

var smallResponse = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(smallAnswer), smallAnswer)

func (s *fakeEngine) answer(conn net.Conn, r *bufio.Reader, path string, body []byte) error {
	if path == "/health" {
		_, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		return err
	}
	tag := directive(body, "tag")
	if tag != "" {
		s.tell("request", tag)
	} else {
		s.tell("probe", "")
	}
	if bytes.Contains(body, []byte(`"stream":true`)) {
		return s.stream(conn, r, body, tag)
	}
	_, err := conn.Write(smallResponse)
	return err
}

// stream sends events at a fixed pace, each with the time of its sending, one write an event.
func (s *fakeEngine) stream(conn net.Conn, r *bufio.Reader, body []byte, tag string) error {
	count, _ := strconv.Atoi(directive(body, "events"))
	interval, _ := time.ParseDuration(directive(body, "interval"))
	if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n")); err != nil {
		return err
	}
	if tag != "" {
		var watch sync.WaitGroup
		defer watch.Wait()
		defer conn.Close()
		watch.Go(func() { // the end of the connection is what the departure scenario times
			if _, err := r.Peek(1); err != nil {
				s.tell("gone", tag)
			}
		})
	}
	buf := make([]byte, 0, 512)
	next := time.Now()
	for range count {
		next = next.Add(interval)
		time.Sleep(time.Until(next))
		event := fmt.Appendf(nil, `data: {"id":"chatcmpl-17","object":"chat.completion.chunk","created":1760000000,"model":"bench",`+
			`"choices":[{"index":0,"delta":{"content":"at=%d ","reasoning_content":""}}]}`+"\n\n", time.Now().UnixNano())
		buf = fmt.Appendf(buf[:0], "%x\r\n%s\r\n", len(event), event)
		if _, err := conn.Write(buf); err != nil {
			return err
		}
	}
	tail := `data: {"id":"chatcmpl-17","object":"chat.completion.chunk","created":1760000000,"model":"bench","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}` + "\n\n"
	if bytes.Contains(body, []byte("include_usage")) {
		tail += fmt.Sprintf(`data: {"id":"chatcmpl-17","object":"chat.completion.chunk","created":1760000000,"model":"bench","choices":[],"usage":{"prompt_tokens":100,"total_tokens":%d,"completion_tokens":%d}}`+"\n\n", 100+count, count)
	}
	tail += "data: [DONE]\n\n"
	_, err := fmt.Fprintf(conn, "%x\r\n%s\r\n0\r\n\r\n", len(tail), tail)
	return err
}

// directive finds "name=value" in a prompt.
func directive(body []byte, name string) string {
	_, after, found := bytes.Cut(body, []byte(name+"="))
	if !found {
		return ""
	}
	end := bytes.IndexAny(after, ` "\`)
	if end < 0 {
		end = len(after)
	}
	return string(after[:end])
}

// reports receives what engines tell.
type reports struct {
	conn net.PacketConn
}

type reported struct {
	event, tag string
	at         time.Time
}

func listenReports() (*reports, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for engine reports: %w", err)
	}
	return &reports{conn: conn}, nil
}

func (r *reports) addr() string { return r.conn.LocalAddr().String() }

// next returns the next report of one of the events, within ten seconds.
func (r *reports) next(events ...string) (reported, error) {
	return r.within(10*time.Second, events...)
}

// within is next with another bound.
func (r *reports) within(most time.Duration, events ...string) (reported, error) {
	buf := make([]byte, 256)
	if err := r.conn.SetReadDeadline(time.Now().Add(most)); err != nil {
		return reported{}, err
	}
	for {
		n, _, err := r.conn.ReadFrom(buf)
		if err != nil {
			return reported{}, fmt.Errorf("waiting for the engine to report %v: %w", events, err)
		}
		fields := strings.Split(string(buf[:n]), " ")
		ns, _ := strconv.ParseInt(fields[2], 10, 64)
		for _, event := range events {
			if fields[0] == event {
				return reported{event: event, tag: fields[1], at: time.Unix(0, ns)}, nil
			}
		}
	}
}

func selfPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	return self, nil
}
