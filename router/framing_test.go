package router_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/router"
)

// exchange sends bytes and gives what came back until the router closed, or fell silent.
func (w *world) exchange(sent string) string {
	w.Helper()
	c := w.dial()
	defer c.Close()
	go func() { _, _ = io.WriteString(c, sent) }()
	var got bytes.Buffer
	for buf := make([]byte, 4096); ; {
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := c.r.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String()
		}
	}
}

// What a caller may smuggle is refused, or ends the connection: a second request hidden in it is never answered.
func TestFraming_OfRequests(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	auth := "Authorization: Bearer " + w.secret + "\r\n"
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + auth
	body := chat("no/such-model")
	smuggled := "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	const unended = "unended"
	for _, tt := range []struct {
		name, sent string
		want       string // status of the first answer; "" = 400 and a closed connection; unended = none yet, for the head has no end
	}{
		{"plain", head + length + "\r\n" + body, "404"},
		{"chunked", head + "Transfer-Encoding: chunked\r\n\r\n" + chunked, "404"},
		{"chunked with an extension", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x;a=b\r\n%s\r\n0\r\n\r\n", len(body), body), "404"},
		{"chunked with a trailer", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\nX: y\r\n\r\n", len(body), body), "404"},
		{"TE and CL", head + length + "Transfer-Encoding: chunked\r\n\r\n" + chunked + smuggled, ""},
		{"CL and TE", head + "Transfer-Encoding: chunked\r\n" + length + "\r\n" + chunked + smuggled, ""},
		{"two lengths", head + length + "Content-Length: 0\r\n\r\n" + body + smuggled, ""},
		{"list of lengths", head + fmt.Sprintf("Content-Length: %d, 0\r\n", len(body)) + "\r\n" + body, ""},
		{"signed length", head + fmt.Sprintf("Content-Length: +%d\r\n", len(body)) + "\r\n" + body, ""},
		{"negative length", head + "Content-Length: -1\r\n\r\n" + body, ""},
		{"huge length", head + "Content-Length: 99999999999999999999\r\n\r\n" + body, ""},
		{"xchunked", head + "Transfer-Encoding: xchunked\r\n\r\n" + chunked + smuggled, ""},
		{"gzip, chunked", head + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked + smuggled, ""},
		{"chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + smuggled, ""},
		{"identity", head + "Transfer-Encoding: identity\r\n" + length + "\r\n" + body, ""},
		{"bare LF in a size", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\n%s\r\n0\r\n\r\n", len(body), body) + smuggled, ""},
		{"bare LF in a trailer", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\nX: y\n\r\n", len(body), body) + smuggled, "404"},
		{"bare LF behind a trailer", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\nX: y\r\n\n", len(body), body) + smuggled, "404"},
		{"obs-fold in a trailer", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\nX: y\r\n z\r\n\r\n", len(body), body) + smuggled, "404"},
		{"bare LF in a trailer of a refused request", strings.Replace(head, w.secret, "pl_wrong", 1) + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\n\r\n" + smuggled, "401"},
		{"bare LF in a trailer of GET", "GET /v1/models HTTP/1.1\r\nHost: a\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\n\r\n" + smuggled, "200"},
		{"a length in a trailer", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\nContent-Length: 5\r\n\r\n", len(body), body) + smuggled, ""},
		{"bare LF in an extension", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x;a\nb\r\n%s\r\n0\r\n\r\n", len(body), body) + smuggled, ""},
		{"bare CR in an extension", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x;a\rb\r\n%s\r\n0\r\n\r\n", len(body), body) + smuggled, ""},
		{"a size that wraps around", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("1%016x\r\n%s\r\n0\r\n\r\n", len(body), body) + smuggled, ""},
		{"a length that wraps around", head + fmt.Sprintf("Content-Length: 184467440737095516%02d\r\n\r\n", 16+len(body)) + body, ""},
		{"no CRLF after a chunk", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s0\r\n\r\n", len(body), body) + smuggled, ""},
		{"hex with a prefix", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("0x%x\r\n%s\r\n0\r\n\r\n", len(body), body) + smuggled, ""},
		{"space before the colon", head + fmt.Sprintf("Content-Length : %d\r\n", len(body)) + "\r\n" + body, ""},
		{"bare LF headers", strings.ReplaceAll(head+length+"\r\n", "\r\n", "\n") + body, ""},
		{"a bare LF among CRLF", head + "X: a\nY: b\r\n" + length + "\r\n" + body, ""},
		{"a bare LF before the end of the head", head + "X: a\n" + length + "\r\n" + body, ""},
		{"a bare LF as the end of the head", head + strings.TrimSuffix(length, "\r\n") + "\n\r\n" + body, unended},
		{"a bare LF behind CRLF", head + length + "\n" + body, unended},
		{"a bare LF behind the request line", strings.Replace(head, "\r\n", "\n", 1) + length + "\r\n" + body, ""},
		{"space in a name", head + "X Y: a\r\n" + length + "\r\n" + body, ""},
		{"tab in a name", head + "X\tY: a\r\n" + length + "\r\n" + body, ""},
		{"space before a name", head + " X: a\r\n" + length + "\r\n" + body, ""},
		{"obs-fold", head + "X: a\r\n b\r\n" + length + "\r\n" + body, ""},
		{"obs-fold with a tab", head + "X: a\r\n\tb\r\n" + length + "\r\n" + body, ""},
		{"obs-fold of a length", head + "Content-Length:\r\n " + fmt.Sprint(len(body)) + "\r\n\r\n" + body, ""},
		{"obs-fold on GET", "GET /v1/models HTTP/1.1\r\nHost: a\r\n" + auth + "X: a\r\n b\r\n\r\n", ""},
		{"no name", head + ": a\r\n" + length + "\r\n" + body, ""},
		{"no colon", head + "X\r\n" + length + "\r\n" + body, ""},
		{"two hosts", head + "Host: b\r\n" + length + "\r\n" + body, ""},
		{"no host", strings.Replace(head, "Host: a\r\n", "", 1) + length + "\r\n" + body, ""},
		{"NUL in a value", head + "X: a\x00b\r\n" + length + "\r\n" + body, ""},
		{"CR in a value", head + "X: a\rb\r\n" + length + "\r\n" + body, ""},
		{"TE on HTTP/1.0", strings.Replace(head, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n" + chunked, ""},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
		{"HTTP/2.0", strings.Replace(head, "1.1", "2.0", 1) + length + "\r\n" + body, ""},
		{"HTTP/1.2", strings.Replace(head, "1.1", "1.2", 1) + length + "\r\n" + body, "404"},
		{"unread body is no request", strings.Replace(head, w.secret, "pl_wrong", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled, "401"},
		{"GET with a body", "GET /v1/models HTTP/1.1\r\nHost: a\r\n" + auth + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled, "200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := w.exchange(tt.sent)
			switch {
			case tt.want == unended:
				if got != "" {
					t.Errorf("got %.200q, want it waited for", got)
				}
			case tt.want != "" && !strings.HasPrefix(got, "HTTP/1.1 "+tt.want):
				t.Errorf("got %.200q, want %s", got, tt.want)
			case tt.want == "" && !strings.HasPrefix(got, "HTTP/1.1 400"):
				t.Errorf("got %.200q, want 400", got)
			case tt.want == "" && !strings.Contains(got, `{"error":{`):
				t.Errorf("got %.200q, want OpenAI's shape", got)
			case tt.want == "" && !strings.Contains(got, "Connection: close"):
				t.Errorf("got %.200q, want the connection closed", got)
			}
			if strings.Contains(got, `{"status":"ok"}`) {
				t.Errorf("got %.400q, which answers the smuggled request", got)
			}
		})
	}
	w.records(0)
}

// What an engine frames badly never reaches a caller as a complete answer.
func TestFraming_OfAnswers(t *testing.T) {
	t.Parallel()
	whole := `{"object":"chat.completion","choices":[]}`
	for name, reply := range map[string]string{
		"length too long":      fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(whole)+5, whole),
		"length and chunked":   fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(whole), len(whole), whole),
		"two lengths":          fmt.Sprintf("Content-Length: %d\r\nContent-Length: 3\r\n\r\n%s", len(whole), whole),
		"no last chunk":        fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(whole), whole),
		"bad size":             fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%s\r\n%s\r\n0\r\n\r\n", "zz", whole),
		"no CRLF after it":     fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s0\r\n\r\n", len(whole), whole),
		"compressed":           fmt.Sprintf("Transfer-Encoding: gzip\r\n\r\n%s", whole),
		"head without an end":  "Content-Length: 3\r\n",
		"a body after 204":     "",
		"newline in a size":    fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\n%s\r\n0\r\n\r\n", len(whole), whole),
		"negative length":      "Content-Length: -5\r\n\r\n" + whole,
		"size beyond all ints": "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + whole,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.heat(chatModel)
				w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
					c, _, err := rw.(http.Hijacker).Hijack()
					if err != nil {
						panic(err)
					}
					defer c.Close()
					status := "200 OK"
					if reply == "" {
						status = "204 No Content\r\n\r\n" + whole
					}
					fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s", status, reply)
				})
				w.wantCode(w.do(call{body: chat(chatModel)}), 502, "engine_error")
				if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Cost != 0 {
					t.Errorf("got %+v, want it free", r)
				}
			})
		})
	}
}

func TestHead_Flood(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	for name, flood := range map[string]string{
		"one long header": "X-A: " + strings.Repeat("a", 64<<10) + "\r\n",
		"many headers":    strings.Repeat("X-A: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 20_000),
		"long path":       "",
	} {
		path := "/v1/models"
		if flood == "" {
			path += "/" + strings.Repeat("a", 64<<10)
		}
		got := w.exchange("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + flood + "\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 431 ") || !strings.Contains(got, `"code":"headers_too_large"`) || !strings.Contains(got, "X-Request-Id: ") {
			t.Errorf("%s: got %.300q, want 431 in OpenAI's shape", name, got)
		}
	}
}

func TestVersion_StreamOnHTTP10Is505(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	for body, want := range map[string]string{chat(chatModel, stream): "505", chat(chatModel): "200"} {
		got := w.exchange(fmt.Sprintf("POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", w.secret, len(body), body))
		if !strings.HasPrefix(got, "HTTP/1.1 "+want) || strings.Contains(got, "Transfer-Encoding") {
			t.Errorf("got %.300q, want %s", got, want)
		}
	}
}

func TestExpect_IsAnsweredBeforeTheBody(t *testing.T) {
	w := newWorld(t, setup{tcp: true, router: func(c *router.Config) { c.BodyLimit = 1 << 20 }})
	body := chat(chatModel)
	for _, tt := range []struct {
		name, head, body, want string
	}{
		{"welcome", "Authorization: Bearer " + w.secret + fmt.Sprintf("\r\nContent-Length: %d", len(body)), body, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"},
		{"bad key", "Authorization: Bearer pl_no\r\nContent-Length: 500", "", "HTTP/1.1 401"},
		{"too large", "Authorization: Bearer " + w.secret + "\r\nContent-Length: 5000000", "", "HTTP/1.1 413"},
	} {
		got := w.exchange("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + tt.head + "\r\n\r\n" + tt.body)
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %.200q, want %q", tt.name, got, tt.want)
		}
		if tt.body == "" && (!strings.Contains(got, `{"error":{`) || !strings.Contains(got, "X-Request-Id: ")) {
			t.Errorf("%s: got %.300q, want OpenAI's shape", tt.name, got)
		}
	}
}

// A caller that sends a large body to a refused request reads the refusal, not a reset.
func TestRefusal_IsReadBehindALargeBody(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	big := strings.Repeat("y", 20<<20)
	for range 4 {
		w.wantCode(w.do(call{body: big, secret: tokenLike}), 401, "invalid_api_key")
	}
	c := w.dial()
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(big), big)
		sent <- err
	}()
	w.must(<-sent) // as Python's http.client does: all is sent before anything is read
	resp, err := http.ReadResponse(c.r, nil)
	w.must(err)
	if resp.StatusCode != 401 {
		t.Errorf("got %d, want 401", resp.StatusCode)
	}
}

const tokenLike = "pl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestBody_ChunkedIsCounted(t *testing.T) {
	w := newWorld(t, setup{tcp: true, router: func(c *router.Config) { c.BodyLimit = 1 << 20 }})
	for size, want := range map[int]int{900 << 10: 200, 1100 << 10: 413, 5 << 20: 413} {
		body := chat(chatModel, `,"user":"`+strings.Repeat("y", size)+`"`)
		req, err := http.NewRequest("POST", "http://router/v1/chat/completions", struct{ io.Reader }{strings.NewReader(body)})
		w.must(err)
		req.Header.Set("Authorization", "Bearer "+w.secret)
		resp, err := w.client.Do(req)
		w.must(err)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: got %d, want %d", size, resp.StatusCode, want)
		}
	}
}

// What frames a body is bounded by the body: nobody sends for ever, within every limit, what no limit of bodies counts.
func TestBody_WhatFramesItIsBounded(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	body := chat(chatModel)
	spelled := func(each string) string {
		var b strings.Builder
		for i := range len(body) {
			fmt.Fprintf(&b, each, body[i:i+1])
		}
		return b.String() + "0\r\n\r\n"
	}
	for _, tt := range []struct {
		name, chunks string
		want         string
	}{
		{"a byte in each chunk", spelled("1\r\n%s\r\n"), "200"},
		{"an extension of each byte", spelled("1;name=value\r\n%s\r\n"), "200"},
		{"one extension of megabytes", fmt.Sprintf("%x;%s\r\n%s\r\n0\r\n\r\n", len(body), strings.Repeat("a", 4<<20), body), "400"},
		{"extensions of megabytes", strings.Repeat("1;"+strings.Repeat("a", 2000)+"\r\n \r\n", 2000) + spelled("1\r\n%s\r\n"), "400"},
		{"trailers of megabytes", fmt.Sprintf("%x\r\n%s\r\n0\r\n%s\r\n", len(body), body, strings.Repeat("X: y\r\n", 1<<20)), "400"},
	} {
		got := w.exchange("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + w.secret + "\r\nTransfer-Encoding: chunked\r\n\r\n" + tt.chunks)
		if !strings.HasPrefix(got, "HTTP/1.1 "+tt.want) || strings.Contains(got, "Connection: close") != (tt.want == "400") {
			t.Errorf("%s: got %.300q, want %s", tt.name, got, tt.want)
		}
	}
}

func TestSlowReader_HoldsTheEngineBackAndIsBounded(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	w.heat(chatModel)
	var wrote int
	ended := make(chan struct{})
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		big := token(strings.Repeat("x", 32<<10))
		events(rw)
		for range 2000 {
			if _, err := io.WriteString(rw, big); err != nil || r.Context().Err() != nil {
				return
			}
			wrote += len(big)
			if wrote > 48<<20 {
				return
			}
		}
	})
	c := w.dial()
	_ = c.socket().SetReadBuffer(4 << 10)
	w.post(c, chat(chatModel, stream))
	select {
	case <-ended:
		t.Errorf("the engine wrote %d bytes to a caller that reads nothing, want it held back", wrote)
	case <-time.After(500 * time.Millisecond):
	}
	_ = c.Close()
	<-ended
	if r := w.lastRecord(2); r.Status != ledger.ClientGone {
		t.Errorf("got %+v, want client_gone", r)
	}
}

func TestSlowReader_IsCutAfterAStalledWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				events(rw, token("a"))
				time.Sleep(time.Second)
			}
		})
		c := w.dial()
		defer c.Close()
		w.post(c, chat(chatModel, stream))
		time.Sleep(20 * time.Second) // still within patience
		w.records(1)
		time.Sleep(time.Minute)
		if r := w.lastRecord(2); r.Status != ledger.ClientGone || r.Billed > 50*time.Second {
			t.Errorf("got %+v, want the stalled caller taken for gone", r)
		}
	})
}

// A steady upload may take longer than the limit for a request's head; a stalled one may not.
func TestUpload_SteadyPassesAndStalledIs408(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		body := chat(chatModel, `,"user":"`+strings.Repeat("y", 512<<10)+`"`)
		for _, tt := range []struct {
			name  string
			pause time.Duration
			upTo  int
			want  int
		}{{"steady", time.Second, len(body), 200}, {"stalled", time.Second, 100 << 10, 408}, {"stalled at once", 0, 0, 408}} {
			c := w.dial()
			_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", w.secret, len(body))
			w.must(err)
			for rest := body[:tt.upTo]; rest != ""; rest = rest[min(len(rest), 16<<10):] {
				_, err := io.WriteString(c, rest[:min(len(rest), 16<<10)])
				w.must(err)
				time.Sleep(tt.pause)
			}
			resp, err := http.ReadResponse(c.r, nil)
			w.must(err)
			text, err := io.ReadAll(resp.Body)
			w.must(err)
			if resp.StatusCode != tt.want || tt.want == 408 && !contains(text, `"code":"request_timeout"`) {
				t.Errorf("%s: got %d %s, want %d", tt.name, resp.StatusCode, text, tt.want)
			}
			_ = c.Close()
		}
	})
}

func TestHead_HalfSentIs408(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		for _, sent := range []string{"POST /v1/chat/comple", "GET /v1/models HTTP/1.1\r\nHost: a\r\n"} {
			c := w.dial()
			_, err := io.WriteString(c, sent)
			w.must(err)
			resp, err := http.ReadResponse(c.r, nil)
			w.must(err)
			text, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 408 || !contains(text, `"code":"request_timeout"`) {
				t.Errorf("got %d %s, want 408", resp.StatusCode, text)
			}
			_ = c.Close()
		}
	})
}
