package router_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/router"
)

func TestPanic_CostsItsRequestOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var armed atomic.Bool
		var w *world
		w = newWorld(t, setup{load: 20 * time.Second, router: func(c *router.Config) {
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if armed.Load() {
					panic("boom")
				}
				return w.net.dial(ctx, network, addr)
			}
		}})
		armed.Store(true)
		a := w.do(call{body: chat(chatModel, stream)})
		if a.StatusCode != 200 || !strings.Contains(a.text, `"code":"engine_error"`) {
			t.Errorf("behind a keep-alive: got %d %s", a.StatusCode, a.text)
		}
		w.wantCode(w.do(call{body: chat(chatModel)}), 503, "overloaded")
		armed.Store(false)
		if got := w.inflight(chatModel); got != 0 {
			t.Errorf("got %d leases out, want none", got)
		}
		if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 {
			t.Errorf("got %d %s, want the next request served", a.StatusCode, a.text)
		}
	})
}
