package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// traffic is what callers send while servers change.
type traffic struct {
	url, token string
	stop       chan struct{}
	all        sync.WaitGroup
	answered   atomic.Int64
	streams    atomic.Int64

	mu    sync.Mutex // guards wrong
	wrong []string   // what was no whole answer
}

// beginTraffic starts callers: some keep their connections, some make one for each request; some stream.
func beginTraffic(url, token string, callers int) *traffic {
	c := &traffic{url: url, token: token, stop: make(chan struct{})}
	for i := range callers {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%3 == 0}, Timeout: 2 * time.Minute}
		c.all.Go(func() {
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				select {
				case <-c.stop:
					return
				default:
				}
				if err := c.ask(client, i%2 == 0); err != nil {
					c.mu.Lock()
					c.wrong = append(c.wrong, fmt.Sprintf("caller %d, request %d: %v", i, n, err))
					c.mu.Unlock()
				}
				time.Sleep(time.Duration(i) * time.Millisecond) // so that connections rest for different times
			}
		})
	}
	return c
}

func (c *traffic) ask(client *http.Client, stream bool) error {
	body, err := json.Marshal(map[string]any{"model": "demo", "stream": stream, "max_tokens": 4, "messages": []any{map[string]string{"role": "user", "content": "Who are you?"}}})
	if err != nil {
		return err
	}
	// Without GetBody nothing is sent again behind the test's back.
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.url+"/chat/completions", io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return err
	}
	r.ContentLength = int64(len(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, header: response.Header, body: string(text), err: err}
	if !a.whole() {
		return fmt.Errorf("status %d, %v: %.300q", a.status, a.err, a.body)
	}
	c.answered.Add(1)
	if stream {
		c.streams.Add(1)
	}
	return nil
}

// end stops the callers, and says what was wrong.
func (c *traffic) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.all.Wait()
	for i, one := range c.wrong {
		if i == 10 {
			t.Errorf("and %d more", len(c.wrong)-i)
			break
		}
		t.Error(one)
	}
}

// handoverDir is the directory of servers that have the same addresses, one after the other.
func handoverDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var addrs [2]string
	for i := range addrs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = ln.Addr().String()
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("api { addr = %q }\nadmin { addr = %q }\nbackend \"local\" { gpus = 2 }\n%s", addrs[0], addrs[1], oneModel)
	if err := writeSecret(filepath.Join(dir, "pilotlight.hcl"), text); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A server is replaced again and again, by turns with a signal and by --take-over, while callers go on: none is refused, none loses an answer, and every answer is
// billed once.
func TestServe_ReplacedUnderLoadLosesNothing(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	dir := handoverDir(t)
	now, err := launchServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { now.stopAfterAll(t) }()
	now.awaitReady(t)
	now.newToken(t)
	now.mustChat(t, "demo", true)
	calls := beginTraffic(now.API, now.Token, 6)
	for round := range rounds {
		before := calls.answered.Load()
		eventually(t, time.Minute, func() string {
			if n := calls.answered.Load() - before; n < 12 {
				return fmt.Sprintf("round %d: only %d requests were answered since the last handover", round, n)
			}
			return ""
		})
		now = now.replace(t, dir, round%2 == 0)
	}
	calls.end(t)
	records := 0
	client := &admin.Client{BaseURL: now.Admin, Token: testAdminToken}
	want := int(calls.answered.Load()) + 1
	eventually(t, 10*time.Second, func() string {
		all, err := client.Usage(t.Context(), admin.UsageQuery{})
		if err != nil {
			return err.Error()
		}
		records = 0
		for _, row := range all.Usage {
			records += int(row.Requests)
		}
		if records != want {
			return fmt.Sprintf("%d requests are in the ledger, want the %d that were answered", records, want)
		}
		return ""
	})
	t.Logf("%d answers, %d of them streams, over %d handovers", calls.answered.Load(), calls.streams.Load(), rounds)
}

// replace starts another server in the place of this one, and returns when that serves and this one has ended.
func (s *devServer) replace(t *testing.T, dir string, signal bool) *devServer {
	t.Helper()
	args := []string(nil)
	if !signal {
		args = []string{"--take-over"}
	}
	next, err := beginServeWith(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	if signal {
		eventually(t, time.Minute, func() string {
			if !bytes.Contains([]byte(s.stderr.String()), []byte(fmt.Sprintf("another process waits to take over\" component=lead pid=%d", next.cmd.Process.Pid))) {
				return "nobody waits to take over"
			}
			return ""
		})
		if err := s.signal(os.Interrupt); err != nil {
			t.Errorf("the one that was replaced: %v", err)
		}
	} else if <-s.ended; s.err != nil {
		t.Errorf("the one that was replaced: %v\n%s", s.err, s.stderr)
	}
	if err := next.awaitServing(dir); err != nil {
		t.Fatal(err)
	}
	if next.API != s.API || next.Admin != s.Admin {
		t.Errorf("it serves at %s and %s, want %s and %s", next.API, next.Admin, s.API, s.Admin)
	}
	next.Token = s.Token
	return next
}

// stopAfterAll ends the last of the servers, and shows its log where the test has failed.
func (s *devServer) stopAfterAll(t *testing.T) {
	t.Helper()
	if err := s.signal(os.Interrupt); err != nil {
		t.Errorf("stopping serve: %v", err)
	}
	if t.Failed() {
		t.Logf("log of the last server:\n%s", s.stderr)
	}
}

// Where nobody takes over, the place to meet is gone with the server.
func TestServe_LeavesNoMeetingPlaceBehind(t *testing.T) {
	dir := handoverDir(t)
	s, err := launchServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := handoverPath(filepath.Join(dir, "pilotlight.db"))
	if _, err := os.Lstat(at); err != nil {
		t.Error(err)
	}
	s.stopAfterAll(t)
	if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it is gone", err)
	}
}
