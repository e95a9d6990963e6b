package router_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// raw is a connection to the router that speaks bytes.
type raw struct {
	net.Conn
	r *bufio.Reader
}

func (w *world) dial() *raw {
	w.Helper()
	c, err := w.reach(w.Context())
	w.must(err)
	return &raw{c, bufio.NewReader(c)}
}

// post sends a chat request.
func (w *world) post(c *raw, body string, headers ...string) {
	w.Helper()
	_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n%s",
		w.secret, len(body), strings.Join(headers, ""), body)
	w.must(err)
}

// leavers are the ways in which a caller leaves.
var leavers = map[string]func(*raw){
	"FIN":        func(c *raw) { _ = c.Close() },
	"RST":        func(c *raw) { _ = c.socket().SetLinger(0); _ = c.Close() },
	"half-close": func(c *raw) { _ = c.socket().CloseWrite() },
	"FIN behind pipelined data": func(c *raw) {
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
		_ = c.Close()
	},
}

// soon waits for a condition that needs no clock of ours, and says how long it took.
func (w *world) soon(what string, ok func() bool) time.Duration {
	w.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > 30*time.Second { // however busy the machine is
			w.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(200 * time.Microsecond)
	}
	return time.Since(began)
}

func TestDeparture_WhileQueued(t *testing.T) {
	for name, leave := range leavers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{tcp: true, load: time.Hour})
			c := w.dial()
			w.post(c, chat(chatModel))
			w.soon("queueing", func() bool { return w.waiting(chatModel) == 1 })
			leave(c)
			took := w.soon("leaving the queue", func() bool { return w.waiting(chatModel) == 0 })
			t.Logf("noticed after %v", took)
			_ = c.Close()
			w.records(0)
		})
	}
}

func TestDeparture_FromTheEngine(t *testing.T) {
	phases := map[string]struct {
		body    string
		handler func(http.ResponseWriter, *http.Request)
	}{
		"before the head": {chat(chatModel), func(http.ResponseWriter, *http.Request) {}},
		"before the first token": {chat(chatModel, stream), func(w http.ResponseWriter, _ *http.Request) {
			events(w)
		}},
		"between tokens": {chat(chatModel, stream), func(w http.ResponseWriter, _ *http.Request) {
			events(w, token("a"))
		}},
	}
	for phase, p := range phases {
		for name, leave := range leavers {
			t.Run(phase+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, setup{tcp: true})
				w.heat(chatModel)
				began, told := make(chan struct{}), make(chan time.Time, 1)
				w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
					p.handler(rw, r)
					close(began)
					<-r.Context().Done()
					told <- time.Now()
				})
				c := w.dial()
				w.post(c, p.body)
				<-began
				time.Sleep(20 * time.Millisecond) // until the caller leaves, it pays
				left := time.Now()
				leave(c)
				t.Logf("the engine was told after %v", (<-told).Sub(left))
				r := w.lastRecord(2)
				if r.Status != ledger.ClientGone || r.Billed < 20*time.Millisecond || r.Billed > 3*time.Second {
					t.Errorf("got %+v, want it billed until the caller left", r)
				}
				_ = c.Close()
			})
		}
	}
}

func TestDeparture_BeforeTheRequestIsHandled(t *testing.T) {
	w := newWorld(t, setup{tcp: true, load: time.Hour})
	c := w.dial()
	w.post(c, chat(chatModel))
	_ = c.Close()
	gone := `pilotlight_requests_total{model="` + chatModel + `",code="499"}`
	w.soon("counting it as left", func() bool { return w.metric(gone) == "1" })
	if n := w.waiting(chatModel); n != 0 {
		t.Errorf("got %d waiting, want none", n)
	}
}

func TestDeparture_InMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Hour})
		c := w.dial()
		w.post(c, chat(chatModel))
		synctest.Wait()
		if got := w.waiting(chatModel); got != 1 {
			t.Fatalf("got %d waiting, want 1", got)
		}
		_ = c.Close()
		synctest.Wait()
		if got := w.waiting(chatModel); got != 0 {
			t.Errorf("got %d waiting, want 0", got)
		}
	})
}

func TestDeparture_HalfOfThoseQueuedFreeTheirPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Minute})
		var all []*raw
		for range 100 {
			c := w.dial()
			w.post(c, chat(chatModel))
			all = append(all, c)
		}
		synctest.Wait()
		for _, c := range all[:50] {
			_ = c.Close()
		}
		synctest.Wait()
		if got := w.waiting(chatModel); got != 50 {
			t.Errorf("got %d waiting, want 50", got)
		}
		for _, c := range all[50:] {
			resp, err := http.ReadResponse(c.r, nil)
			w.must(err)
			if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("got %d, %v", resp.StatusCode, err)
			}
			_ = c.Close()
		}
		w.records(50)
	})
}

// Pipelined requests on one connection are answered in order, each once, in memory (where the watch reads ahead) too.
func TestPipelining_RequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Second})
		c := w.dial()
		for i := range 5 {
			mode := ""
			if i%2 == 1 {
				mode = stream
			}
			w.post(c, chat(chatModel, mode), fmt.Sprintf("X-Request-Id: r%d\r\n", i))
		}
		for i := range 5 {
			resp, err := http.ReadResponse(c.r, nil)
			w.must(err)
			if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("got %d, %v", resp.StatusCode, err)
			}
			if got, want := resp.Header.Get("X-Request-Id"), fmt.Sprintf("r%d", i); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		_ = c.Close()
		w.records(5)
	})
}

func TestHerd_AThousandRequestsToAColdModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Minute, gpus: 1})
		answers := make(chan answer, 1000)
		for i := range 1000 {
			go func() {
				answers <- w.do(call{body: chat(chatModel, []string{"", stream}[i%2]), header: map[string]string{"X-Request-Id": fmt.Sprint(i)}})
			}()
		}
		for range 1000 {
			if a := <-answers; a.err != nil || a.StatusCode != 200 {
				t.Fatalf("got %+v", a)
			}
		}
		if got := w.host.launches(); got != 1 {
			t.Errorf("got %d activations, want 1", got)
		}
		seen := map[string]bool{}
		for _, r := range w.records(1000) {
			seen[r.RequestID] = true
		}
		if len(seen) != 1000 {
			t.Errorf("got records of %d requests, want 1000", len(seen))
		}
	})
}
