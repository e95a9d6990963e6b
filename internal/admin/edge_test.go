package admin_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// Who has no token costs no memory, however much is sent.
func TestEdge_NoTokenNoMemory(t *testing.T) {
	w := newWorld(t)
	big := bytes.Repeat([]byte{' '}, 4<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var callers sync.WaitGroup
	for i := range 40 {
		callers.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			token := "Authorization: Bearer not-the-token-of-this-server\r\n"
			if i%2 == 0 {
				token = ""
			}
			if _, err := io.WriteString(c, "POST /api/config HTTP/1.1\r\nHost: localhost\r\n"+token+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(big))); err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Write(big); err != nil {
				t.Error(err)
				return
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != 401 {
				t.Errorf("got %v, %v; want 401", resp, err)
			}
		})
	}
	callers.Wait()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("got %d MiB allocated for 40 bodies that nobody may send, want hardly any", took>>20)
	}
}

// A head that can be read in two ways is refused here as it is at the public listener.
func TestEdge_HeadsAreStrict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, head := range map[string]string{
		"bare LF":         "X: a\nY: b\r\n",
		"space in a name": "X Y: a\r\n",
		"obs-fold":        "X: a\r\n b\r\n",
	} {
		got := w.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + "\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, `"code":"invalid_request"`) {
			t.Errorf("%s: got %.200q, want 400", name, got)
		}
	}
	if got := w.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %.200q, want 200", got)
	}
}

// What the head condemns is said before the body is invited.
func TestEdge_ExpectIsAnsweredBeforeTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := "POST /api/orgs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 15\r\n"
	if got := w.raw(ask + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 401 ") || !strings.Contains(got, "invalid_api_key") {
		t.Errorf("got %.200q, want 401 without an invitation", got)
	}
	if got := w.raw(ask + "Authorization: Bearer " + adminToken + "\r\n\r\n" + `{"name":"acme"}`); !strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201") {
		t.Errorf("got %.200q, want it invited and done", got)
	}
}

func TestEdge_ConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *admin.Config) { c.MaxConnections = 8 })
	var silent []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
		check(t, err)
		defer c.Close()
		silent = append(silent, c)
	}
	if status, _, _ := w.ask("GET", "/api/orgs", ""); status != 200 {
		t.Errorf("got %d, want an operator served behind silent connections", status)
	}
	closed := 0
	for _, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err == io.EOF {
			closed++
		}
	}
	if closed < 42 {
		t.Errorf("got %d of 50 closed, want at most 8 open", closed)
	}
	_, text, _ := w.ask("GET", "/metrics", "")
	if !strings.Contains(text, `pilotlight_connections{listener="admin"}`) {
		t.Error("got no metric of connections")
	}
}

// raw sends bytes and gives all that comes back until the server closes.
func (w *world) raw(sent string) string {
	w.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	check(w.t, err)
	defer c.Close()
	_, err = io.WriteString(c, sent)
	check(w.t, err)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	got, _ := io.ReadAll(c)
	return string(got)
}
