package router_test

import (
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

// An organisation that hoards, dawdles and errs costs another neither an answer nor time, and leaves nothing behind. The benchmark fairness has the
// same in full size.
func TestFairness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := account.New(account.Config{Memory: 32 << 20})
		w := newWorld(t, setup{router: func(c *router.Config) { c.Accounts = accounts; c.BodyLimit = 4 << 20; c.MaxConnections = 200 }})
		w.heat(chatModel)
		hostile, _ := w.newToken("hostile", noScopes)
		const think = 100 * time.Millisecond
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			time.Sleep(think)
			answerChat(rw, r)
		})
		done := make(chan struct{})
		ended := make(chan struct{}, 1000)
		began := 0
		dribble := func(first, piece string, each time.Duration) {
			began++
			go func() {
				defer func() { ended <- struct{}{} }()
				for {
					c := w.dial()
					_, err := io.WriteString(c, first)
					for err == nil {
						select {
						case <-done:
							_ = c.Close()
							return
						case <-time.After(each):
							_, err = io.WriteString(c, piece)
						}
					}
					_ = c.Close()
				}
			}()
		}
		head := "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
		body := func(length int) string {
			return fmt.Sprintf("%sAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", head, hostile, length)
		}
		for range 16 {
			dribble(body(4<<20), strings.Repeat(" ", 256<<10), 2*time.Second)
		}
		for range 60 {
			dribble(head, "X: a\r\n", time.Second)
			dribble(body(64<<10), strings.Repeat(" ", 512), time.Second)
		}
		began++
		go func() {
			defer func() { ended <- struct{}{} }()
			for {
				select {
				case <-done:
					return
				case <-time.After(100 * time.Millisecond):
					a := w.do(call{body: `{"model":"` + chatModel + `","model":"other"}`, secret: hostile})
					if a.StatusCode != 503 { // its own bodies hold its share
						w.wantCode(a, 400, "invalid_request")
					}
				}
			}
		}()

		most := int64(0)
		for i := range 120 {
			time.Sleep(250 * time.Millisecond)
			at := time.Now()
			a := w.do(call{body: chat(chatModel, stream, `,"user":"`+strings.Repeat("y", i<<10)+`"`)})
			if a.err != nil || a.StatusCode != 200 || !strings.HasSuffix(a.text, "data: [DONE]\n\n") {
				t.Fatalf("request %d: got %+v, want it whole", i, a)
			}
			if took := time.Since(at); took > 2*think {
				t.Errorf("request %d: got %v, want at most twice %v", i, took, think)
			}
			most = max(most, accounts.Usage("hostile").Bytes)
		}
		if most < 8<<20 || most > 16<<20 {
			t.Errorf("got %d bytes held by the hostile organisation, want much, but no more than its share", most)
		}
		close(done)
		for range began {
			<-ended
		}
		time.Sleep(time.Minute)
		if got := accounts.Usage("hostile"); got != (account.Usage{}) {
			t.Errorf("got %+v, want nothing left", got)
		}
	})
}
