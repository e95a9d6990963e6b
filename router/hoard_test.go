package router_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/router"
)

// upload begins a request whose body is announced with so many bytes.
func (w *world) upload(secret string, length int) *raw {
	w.Helper()
	c := w.dial()
	_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", secret, length)
	w.must(err)
	return c
}

// wantAnswer asserts the answer on a connection of its own.
func (w *world) wantAnswer(c *raw, status int, code string) {
	w.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	w.must(err)
	text, err := io.ReadAll(resp.Body)
	w.wantCode(answer{Response: resp, text: string(text), err: err}, status, code)
}

// Who announces much and sends little holds little, and not for long.
func TestHoard_AnnouncedBodiesCostNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := account.New(account.Config{Memory: 1 << 30})
		w := newWorld(t, setup{router: func(c *router.Config) { c.Accounts = accounts }})
		w.heat(chatModel)
		hoarder, _ := w.newToken("hoarder", noScopes)
		piece := strings.Repeat(" ", 64<<10)
		var conns []*raw
		for range 32 {
			c := w.upload(hoarder, 32<<20)
			defer c.Close()
			conns = append(conns, c)
		}
		for round := range 3 {
			for _, c := range conns {
				go func() { _, _ = io.WriteString(c, piece) }()
			}
			time.Sleep(5 * time.Second)
			if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 {
				t.Errorf("round %d: got %d %s, want another organisation served", round, a.StatusCode, a.text)
			}
		}
		time.Sleep(15 * time.Second)
		for _, c := range conns {
			w.wantAnswer(c, 408, "request_timeout")
		}
		if got := accounts.Usage("hoarder"); got != (account.Usage{}) {
			t.Errorf("got %+v, want nothing held", got)
		}
	})
}

// Bodies that wait for one model take no memory from whoever asks another.
func TestHoard_BodiesThatWaitCostNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Minute, router: func(c *router.Config) { c.BodyLimit = 1 << 20 }})
		w.heat(chatModel)
		hoarder, _ := w.newToken("hoarder", noScopes)
		large := chat(rareModel, `,"user":"`+strings.Repeat("y", 1<<20-200)+`"`)
		answers := make(chan answer, 64)
		for range cap(answers) {
			go func() { answers <- w.do(call{body: large, secret: hoarder}) }()
		}
		time.Sleep(time.Second)
		for range 8 {
			if a := w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 1<<20-200)+`"`)}); a.StatusCode != 200 {
				t.Errorf("got %d %s, want another organisation served", a.StatusCode, a.text)
			}
		}
		time.Sleep(10 * time.Second)
		refused := 0
		for len(answers) > 0 {
			a := <-answers
			w.wantCode(a, 503, "overloaded")
			if a.Header.Get("Retry-After") == "" {
				t.Error("got no Retry-After")
			}
			refused++
		}
		if refused < 40 {
			t.Errorf("got %d of 64 refused, want the hoarder above its share", refused)
		}
		for range cap(answers) - refused {
			if a := <-answers; a.StatusCode != 200 {
				t.Errorf("got %d %s, want those within the share served", a.StatusCode, a.text)
			}
		}
	})
}

// Where several organisations have taken all, a waiting request of the greediest is ended for one that is within its share.
func TestHoard_MemoryIsTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := account.New(account.Config{Memory: 16 << 20})
		w := newWorld(t, setup{load: time.Minute, router: func(c *router.Config) { c.Accounts = accounts; c.BodyLimit = 4 << 20 }})
		w.heat(chatModel)
		ended := make(chan answer, 64)
		for i := range 4 {
			hoarder, _ := w.newToken(fmt.Sprint("hoarder", i), noScopes)
			for range cap(ended) / 4 {
				go func() {
					ended <- w.do(call{body: chat(rareModel, `,"user":"`+strings.Repeat("y", 900<<10)+`"`), secret: hoarder})
				}()
			}
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second)
		for len(ended) > 0 {
			w.wantCode(<-ended, 503, "overloaded")
		}
		if a := w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 3<<20)+`"`)}); a.StatusCode != 200 {
			t.Errorf("got %d %s, want the honest organisation served", a.StatusCode, a.text)
		}
		var text strings.Builder
		accounts.Metrics().WritePrometheus(&text)
		if strings.Contains(text.String(), "reason=\"reclaimed\"} 0\n") {
			t.Error("got no waiting request ended, want memory taken back")
		}
		for range len(ended) {
			w.wantCode(<-ended, 503, "overloaded")
		}
		time.Sleep(2 * time.Minute)
		for i := range 4 {
			if got := accounts.Usage(fmt.Sprint("hoarder", i)); got != (account.Usage{}) {
				t.Errorf("got %+v, want nothing left", got)
			}
		}
	})
}

// An upload that goes on is ended for an organisation within its share as one that waits is.
func TestHoard_UploadsAreEndedForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := account.New(account.Config{Memory: 16 << 20})
		w := newWorld(t, setup{router: func(c *router.Config) { c.Accounts = accounts; c.BodyLimit = 4 << 20 }})
		w.heat(chatModel)
		var conns []*raw
		for i := range 4 {
			hoarder, _ := w.newToken(fmt.Sprint("hoarder", i), noScopes)
			for range 16 {
				c := w.upload(hoarder, 900<<10)
				defer c.Close()
				go func() { _, _ = io.WriteString(c, strings.Repeat(" ", 899<<10)) }()
				conns = append(conns, c)
			}
			time.Sleep(time.Second / 2)
		}
		time.Sleep(time.Second)
		if a := w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 2<<20)+`"`)}); a.StatusCode != 200 {
			t.Errorf("got %d %s, want the honest organisation served", a.StatusCode, a.text)
		}
		var text strings.Builder
		accounts.Metrics().WritePrometheus(&text)
		if strings.Contains(text.String(), "reason=\"reclaimed\"} 0\n") {
			t.Error("got no upload ended, want memory taken back")
		}
		time.Sleep(time.Minute)
		codes := map[string]int{}
		for _, c := range conns {
			resp, err := http.ReadResponse(c.r, nil)
			w.must(err)
			codes[resp.Status]++
		}
		if codes["503 Service Unavailable"] == 0 || codes["503 Service Unavailable"]+codes["408 Request Timeout"] != len(conns) {
			t.Errorf("got %v, want each refused with what was wrong", codes)
		}
		for i := range 4 {
			if got := accounts.Usage(fmt.Sprint("hoarder", i)); got != (account.Usage{}) {
				t.Errorf("got %+v, want nothing left", got)
			}
		}
	})
}

// Whoever is still sending when its upload is ended is told why: what it has left to send is read before the answer.
func TestHoard_AnEndedUploadIsToldWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := account.New(account.Config{Memory: 16 << 20})
		w := newWorld(t, setup{router: func(c *router.Config) { c.Accounts = accounts; c.BodyLimit = 4 << 20 }})
		w.heat(chatModel)
		answers := make(chan answer, 20)
		for i := range 4 {
			hoarder, _ := w.newToken(fmt.Sprint("hoarder", i), noScopes)
			for range cap(answers) / 4 {
				go func() {
					body := chat(chatModel, `,"user":"`+strings.Repeat("y", 900<<10)+`"`)
					in, out := io.Pipe()
					go func() {
						_, _ = io.WriteString(out, body[:800<<10])
						time.Sleep(5 * time.Second)
						_, _ = io.WriteString(out, body[800<<10:])
						_ = out.Close()
					}()
					req, err := http.NewRequest(http.MethodPost, "http://router/v1/chat/completions", in)
					w.must(err)
					req.ContentLength = int64(len(body))
					req.Header.Set("Authorization", "Bearer "+hoarder)
					resp, err := w.client.Do(req)
					if err != nil {
						answers <- answer{err: err}
						return
					}
					text, err := io.ReadAll(resp.Body)
					answers <- answer{Response: resp, text: string(text), err: errors.Join(err, resp.Body.Close())}
				}()
			}
		}
		time.Sleep(time.Second)
		if a := w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 3<<20)+`"`)}); a.StatusCode != 200 {
			t.Errorf("got %d %s, want the honest organisation served", a.StatusCode, a.text)
		}
		refused := 0
		for range cap(answers) {
			a := <-answers
			if a.err == nil && a.StatusCode == 200 {
				continue
			}
			w.wantCode(a, 503, "overloaded")
			refused++
		}
		if refused == 0 {
			t.Error("got no upload ended, want memory taken back")
		}
	})
}

// Answers whose readers have stopped take no more memory than their organisation's share: the rest are relayed as they are read.
func TestHoard_AnswersThatNobodyReads(t *testing.T) {
	accounts := account.New(account.Config{Memory: 16 << 20})
	w := newWorld(t, setup{tcp: true, router: func(c *router.Config) { c.Accounts = accounts }})
	w.heat(chatModel)
	hoarder, _ := w.newToken("hoarder", noScopes)
	whole := `{"object":"chat.completion","choices":[{"text":"` + strings.Repeat("y", 4<<20) + `"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`
	w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, whole)
	})
	var conns []*raw
	for range 12 {
		c := w.dial()
		defer c.Close()
		_ = c.socket().SetReadBuffer(64 << 10)
		body := chat(chatModel)
		_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", hoarder, len(body), body)
		w.must(err)
		conns = append(conns, c)
	}
	for _, c := range conns { // all have begun
		if _, err := c.r.Peek(1); err != nil {
			t.Fatal(err)
		}
	}
	if got := accounts.Usage("hoarder").Bytes; got < 2<<20 || got > 9<<20 { // some were relayed before others had been collected
		t.Errorf("got %d bytes of answers held, want at most about half of 16 MiB, and some", got)
	}
	w.engines.swap(answerChat)
	if a := w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 2<<20)+`"`)}); a.StatusCode != 200 {
		t.Errorf("got %d %s, want another organisation served", a.StatusCode, a.text)
	}
	for i, c := range conns {
		resp, err := http.ReadResponse(c.r, nil)
		w.must(err)
		text, err := io.ReadAll(resp.Body)
		if err != nil || string(text) != whole {
			t.Errorf("answer %d: got %d bytes, %v; want it whole", i, len(text), err)
		}
		_ = c.Close()
	}
	for end := time.Now().Add(5 * time.Second); accounts.Usage("hoarder") != (account.Usage{}); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got %+v, want nothing left", accounts.Usage("hoarder"))
		}
	}
}
