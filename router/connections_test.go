package router_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/router"
)

// Two requests with their engine's connections and a third one's caller are all that there is room for.
func TestMaxBoth_ARequestWaitsForAConnectionToItsEngine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		takes   time.Duration // the engine, for an answer
		status  int           // of the third
		answers time.Duration // after which it is answered
	}{
		{2 * time.Second, 200, 4 * time.Second},
		{10 * time.Second, 503, 3 * time.Second}, // the engine has no part in that
	} {
		t.Run(c.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{router: func(r *router.Config) { r.MaxConnections, r.MaxBoth = 3, 5 }})
				w.heat(chatModel)
				w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
					time.Sleep(c.takes)
					answerChat(rw, r)
				})
				var asked []<-chan answer
				for range 3 {
					asked = append(asked, w.ask(chat(chatModel)))
					synctest.Wait()
				}
				began := time.Now()
				third := <-asked[2]
				if took := time.Since(began); third.StatusCode != c.status || took < c.answers || took > c.answers+100*time.Millisecond {
					t.Errorf("got %d %q after %s, want %d after %s", third.StatusCode, third.text, took, c.status, c.answers)
				}
				if c.status != 200 {
					w.wantCode(third, 503, "overloaded")
				}
				for _, other := range asked[:2] {
					if a := <-other; a.StatusCode != 200 {
						t.Errorf("got %d %q, want those that have their connections answered", a.StatusCode, a.text)
					}
				}
				if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 {
					t.Errorf("got %d %q, want nothing held against the engine", a.StatusCode, a.text)
				}
			})
		})
	}
}
