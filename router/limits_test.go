package router_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/router"
)

// limit sets limits of an organisation; 0 = none.
func (w *world) limit(org string, rpm, concurrency int) {
	w.Helper()
	_, err := w.tenants.UpdateOrg(context.Background(), org, tenant.OrgChange{Limits: tenant.LimitsChange{RPM: &rpm, Concurrency: &concurrency}})
	w.must(err)
}

// limited makes a token of org acme with limits of its own.
func (w *world) limited(rpm, concurrency int) (secret string) {
	w.Helper()
	secret, _ = w.newToken("acme", tenant.NewToken{
		Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeModelsRead}, Limits: tenant.LimitsChange{RPM: &rpm, Concurrency: &concurrency},
	})
	return secret
}

func (w *world) wantHeaders(a answer, want map[string]string) {
	w.Helper()
	for k, v := range want {
		if got := a.Header.Get(k); got != v {
			w.Errorf("got %s: %q, want %q", k, got, v)
		}
	}
}

// standing are the headers of a limit of requests a minute.
func standing(limit, remaining int, reset string) map[string]string {
	return map[string]string{
		"X-Ratelimit-Limit-Requests": strconv.Itoa(limit), "X-Ratelimit-Remaining-Requests": strconv.Itoa(remaining), "X-Ratelimit-Reset-Requests": reset,
	}
}

func TestLimits_AreToldOnEveryAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, speaks())
		w.heat(chatModel)
		w.limit("acme", 60, 0)
		for i, tt := range []struct {
			name   string
			call   call
			status int
		}{
			{"whole", call{body: chat(chatModel)}, 200},
			{"stream", call{body: chat(chatModel, stream)}, 200},
			{"bad body", call{body: "{"}, 400},
			{"compressed", call{body: chat(chatModel), header: map[string]string{"Content-Encoding": "gzip"}}, 415},
			{"no such model", call{body: chat("no/such")}, 404},
			{"responses", responses(), 200},
			{"messages", messages(), 200},
			{"messages, stream", messages(stream), 200},
			{"messages, bad", call{path: "/v1/messages", body: "{"}, 400},
		} {
			w.named(tt.name, func() {
				a := w.do(tt.call)
				if a.err != nil || a.StatusCode != tt.status {
					w.Fatalf("got %+v, want %d", a, tt.status)
				}
				w.wantHeaders(a, standing(60, 59-i, fmt.Sprintf("%ds", i+1)))
				full := ""
				if strings.HasPrefix(tt.name, "messages") {
					full = time.Now().UTC().Add(time.Duration(i+2)*time.Second - 1).Truncate(time.Second).Format(time.RFC3339)
					w.wantHeaders(a, map[string]string{"Anthropic-Ratelimit-Requests-Limit": "60", "Anthropic-Ratelimit-Requests-Remaining": strconv.Itoa(59 - i)})
				}
				w.wantHeaders(a, map[string]string{"Anthropic-Ratelimit-Requests-Reset": full})
			})
		}
		// What reads is not counted, nor is who may not ask.
		for _, c := range []call{
			{method: "GET", path: "/v1/models"},
			{method: "GET", path: "/v1/usage"},
			{method: "GET", path: "/healthz"},
			{body: chat(chatModel), secret: "-"},
			{body: chat(chatModel), secret: "pl_no"},
		} {
			w.wantHeaders(w.do(c), map[string]string{"X-Ratelimit-Limit-Requests": ""})
		}
		w.wantHeaders(w.do(call{body: chat(chatModel)}), standing(60, 50, "10s"))
		w.limit("acme", 0, 0)
		w.wantHeaders(w.do(call{body: chat(chatModel)}), map[string]string{"X-Ratelimit-Limit-Requests": ""})
	})
}

func TestLimits_RetryAfterIsTrue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, speaks())
		w.heat(chatModel)
		w.limit("acme", 7, 0)
		secret := w.limited(7, 0)
		asks := []call{{body: chat(chatModel), secret: secret}, {body: chat(chatModel, stream), secret: secret}, messages()}
		asks[2].secret = secret
		for i := range 7 {
			if a := w.do(asks[i%3]); a.StatusCode != 200 {
				t.Fatalf("%d: got %d %s", i, a.StatusCode, a.text)
			}
		}
		time.Sleep(300 * time.Millisecond)
		for i := range 9 {
			a := w.do(asks[i%3])
			w.wantCode(a, 429, "rate_limit_exceeded")
			seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
			w.must(err)
			if want := fmt.Sprintf("limit of 7 requests a minute; one more is admitted in %d seconds.", seconds); !strings.Contains(a.text, want) && seconds > 1 {
				t.Errorf("got %s, want %q", a.text, want)
			}
			if strings.Contains(a.text, "tokens") || !strings.Contains(a.text, "his token has reached") && !strings.Contains(a.text, "he organisation") {
				t.Errorf("got %s, want whose limit it is", a.text)
			}
			w.wantHeaders(a, map[string]string{"X-Should-Retry": "", "X-Ratelimit-Limit-Requests": "7", "X-Ratelimit-Remaining-Requests": "0"})
			time.Sleep(time.Duration(seconds)*time.Second - 900*time.Millisecond)
			time.Sleep(900 * time.Millisecond)
			if a := w.do(asks[i%3]); a.StatusCode != 200 {
				t.Errorf("%d: came back after %d s: %d %s", i, seconds, a.StatusCode, a.text)
			}
		}
	})
}

// A refused request costs no memory for its body, and is not asked for it. What a caller sends all the same is read past, so that it reads the answer.
func TestLimits_RefusedBeforeTheBody(t *testing.T) {
	accounts := account.New(account.Config{Memory: 1 << 30})
	w := newWorld(t, setup{tcp: true, router: func(c *router.Config) { c.Accounts = accounts }})
	w.heat(chatModel)
	w.limit("acme", 1, 0)
	if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 {
		t.Fatalf("got %d %s", a.StatusCode, a.text)
	}
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + w.secret + "\r\nContent-Length: 1000000\r\n"
	want := func(got string) {
		t.Helper()
		if !strings.HasPrefix(got, "HTTP/1.1 429 ") || !strings.Contains(got, "Retry-After: ") || !strings.Contains(got, "X-Ratelimit-Remaining-Requests: 0\r\n") {
			t.Errorf("got %.300q, want 429", got)
		}
	}
	want(w.exchange(head + "Expect: 100-continue\r\n\r\n"))
	c := w.dial()
	defer c.Close()
	half := strings.Repeat(" ", 500_000)
	_, err := io.WriteString(c, head+"\r\n"+half) // the socket takes it only when it is read
	w.must(err)
	if got := accounts.Usage("acme"); got != (account.Usage{}) {
		t.Errorf("got %+v for a request that is refused", got)
	}
	_, err = io.WriteString(c, half)
	w.must(err)
	var got bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c.r, &got)), nil)
	w.must(err)
	_ = resp.Body.Close()
	want(got.String())
}

func TestLimits_AtOnceCountsWhoWaitsAndWhoUploads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Minute})
		secret := w.limited(0, 1)
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan answer)
		go func() { first <- w.do(call{body: chat(chatModel), secret: secret, ctx: ctx}) }()
		time.Sleep(time.Second)
		a := w.do(call{body: chat(chatModel), secret: secret})
		w.wantCode(a, 429, "concurrency_limit_exceeded")
		w.wantHeaders(a, map[string]string{"Retry-After": "1", "X-Ratelimit-Limit-Requests": ""})
		if !strings.Contains(a.text, "This token has 1 request open, which is its limit") {
			t.Errorf("got %s, want whose limit it is, and what", a.text)
		}
		leave()
		<-first
		time.Sleep(time.Second) // the router sees it
		go func() { first <- w.do(call{body: chat(chatModel), secret: secret}) }()
		if a := <-first; a.StatusCode != 200 {
			t.Errorf("after the first has left: %d %s", a.StatusCode, a.text)
		}
		c := w.dial()
		_, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 10000\r\n\r\n%s", secret, strings.Repeat(" ", 9<<10))
		w.must(err)
		time.Sleep(time.Second)
		w.wantCode(w.do(call{body: chat(chatModel), secret: secret}), 429, "concurrency_limit_exceeded")
		_ = c.Close()
		time.Sleep(time.Second)
		if a := w.do(call{body: chat(chatModel), secret: secret}); a.StatusCode != 200 {
			t.Errorf("after the upload has ended: %d %s", a.StatusCode, a.text)
		}
	})
}

// Who has an answer may ask again: one caller, each time on a connection of its own, with one request at once, whatever becomes of it.
func TestLimits_OneAfterTheOther(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	w.heat(chatModel)
	w.limit("acme", 0, 1)
	large := strings.Repeat("x", 100<<10)
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case contains(body, `"stop":"large"`):
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(rw, `{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}`, large)
		case contains(body, `"stream":true`):
			events(rw, token("a"), usageChunk, "data: [DONE]\n\n")
			time.Sleep(20 * time.Millisecond) // its end comes late
		default:
			fmt.Fprint(rw, wholeReply)
		}
	})
	bodies := []string{chat(chatModel), chat(chatModel, stream), chat(chatModel, `,"stop":"large"`), "{"}
	for i := range 200 {
		c := w.dial()
		w.post(c, bodies[i%len(bodies)])
		resp, err := http.ReadResponse(c.r, nil)
		w.must(err)
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode == 429 {
			t.Fatalf("%d: got %d %s, %v", i, resp.StatusCode, text, err)
		}
		_ = c.Close()
	}
}

func TestLimits_ManyCallersNeverMoreAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := account.New(account.Config{Memory: 1 << 30})
		w := newWorld(t, setup{router: func(c *router.Config) { c.Accounts = accounts }})
		w.heat(chatModel)
		w.limit("acme", 0, 8)
		secret := w.limited(0, 3)
		var atEngine, most, served, refused atomic.Int64
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			for n := atEngine.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			time.Sleep(10 * time.Millisecond)
			atEngine.Add(-1) // before the answer: who has it may ask again
			answerChat(rw, r)
		})
		done := make(chan struct{})
		for i := range 100 {
			go func() {
				defer func() { done <- struct{}{} }()
				for j := range 20 {
					c := call{body: chat(chatModel, []string{"", stream}[j%2])}
					if i%2 == 0 {
						c.secret = secret
					}
					switch a := w.do(c); a.StatusCode {
					case 200:
						served.Add(1)
					case 429:
						refused.Add(1)
						time.Sleep(3 * time.Millisecond)
					default:
						t.Errorf("got %+v", a)
					}
				}
			}()
		}
		for range 100 {
			<-done
		}
		if most.Load() != 8 || served.Load() == 0 || refused.Load() == 0 {
			t.Errorf("got %d at once, %d served, %d refused; want 8 at once, the organisation's limit", most.Load(), served.Load(), refused.Load())
		}
		time.Sleep(2 * time.Second)
		if got := accounts.Usage("acme"); got != (account.Usage{}) {
			t.Errorf("got %+v left", got)
		}
	})
}

func TestReset_IsWrittenAsOpenAIDoes(t *testing.T) {
	for ms := range 125_000 {
		d := time.Duration(ms) * time.Millisecond
		if got, want := router.Reset(d), d.String(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	if got := router.Reset(time.Microsecond); got != "1ms" {
		t.Errorf("got %s, want it rounded up", got)
	}
}
