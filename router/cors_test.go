package router_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/router"
)

const page = "https://chat.example.com"

func TestCORS_OnlyListedOriginsMayRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: func(c *router.Config) { c.CORSOrigins = []string{page, "http://localhost:5173"} }})
		w.heat(chatModel)
		for _, row := range []struct {
			name string
			call call
		}{
			{"an answer", call{body: chat(chatModel)}},
			{"a stream", call{body: chat(chatModel, stream)}},
			{"an error of the handler", call{body: chat("none")}},
			{"a refused token", call{body: chat(chatModel), secret: "pl_wrong"}},
			{"a wrong path", call{path: "/v2/chat"}},
			{"a wrong method", call{method: "DELETE", path: "/v1/models"}},
			{"a read", call{method: "GET", path: "/v1/models"}},
			{"health", call{method: "GET", path: "/healthz", secret: "-"}},
		} {
			row.call.header = map[string]string{"Origin": page}
			a := w.do(row.call)
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != page {
				t.Errorf("%s: got allowed origin %q, want %q", row.name, got, page)
			}
			if got := a.Header.Get("Vary"); got != "Origin" {
				t.Errorf("%s: got Vary %q, want Origin", row.name, got)
			}
			exposed := strings.ToLower(a.Header.Get("Access-Control-Expose-Headers"))
			for _, name := range []string{"x-request-id", "server-timing", "retry-after", "x-should-retry", "x-pilotlight-start", "x-pilotlight-cost-usd"} {
				if !strings.Contains(exposed, name) {
					t.Errorf("%s: got exposed headers %q, want %s among them", row.name, exposed, name)
				}
			}
			for _, origin := range []string{"https://evil.example.com", "null", page + ".evil.com", strings.ToUpper(page)} {
				row.call.header = map[string]string{"Origin": origin}
				if a := w.do(row.call); a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Vary") != "Origin" {
					t.Errorf("%s from %s: got %v, want no allowed origin, and Vary", row.name, origin, a.Header)
				}
			}
		}
	})
}

func TestCORS_PreflightsOfListedOriginsAreAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: func(c *router.Config) { c.CORSOrigins = []string{page} }})
		asks := map[string]string{
			"Origin": page, "Access-Control-Request-Method": "POST",
			"Access-Control-Request-Headers": "authorization,content-type,x-pilotlight-keepalive,x-stainless-lang",
		}
		for _, path := range []string{"/v1/chat/completions", "/api/integrations/dgx/v1/chat/completions"} {
			a := w.do(call{method: "OPTIONS", path: path, secret: "-", header: asks})
			if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != page || a.text != "" {
				t.Errorf("%s: got %d %v %q, want 204 for this origin", path, a.StatusCode, a.Header, a.text)
			}
			if got := a.Header.Get("Access-Control-Allow-Methods"); !strings.Contains(got, "POST") {
				t.Errorf("%s: got allowed methods %q, want POST among them", path, got)
			}
			if got := a.Header.Get("Access-Control-Allow-Headers"); got != asks["Access-Control-Request-Headers"] {
				t.Errorf("%s: got allowed headers %q, want those asked for", path, got)
			}
			if age, err := time.ParseDuration(a.Header.Get("Access-Control-Max-Age") + "s"); err != nil || age <= 0 {
				t.Errorf("%s: got max age %v, %v, want some", path, age, err)
			}
		}
		asks["Origin"] = "https://evil.example.com"
		if a := w.do(call{method: "OPTIONS", secret: "-", header: asks}); a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("got %v, want nothing allowed", a.Header)
		}
	})
}

func TestCORS_AnyOriginMayBeListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: func(c *router.Config) { c.CORSOrigins = []string{"*"} }})
		a := w.do(call{method: "GET", path: "/v1/models", header: map[string]string{"Origin": "null"}})
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("got allowed origin %q, want *", got)
		}
	})
}

func TestCORS_IsOffByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		for _, method := range []string{"GET", "OPTIONS"} {
			a := w.do(call{method: method, path: "/v1/models", header: map[string]string{"Origin": page, "Access-Control-Request-Method": "GET"}})
			for name := range a.Header {
				if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
					t.Errorf("%s: got %s: %s, want none", method, name, a.Header.Get(name))
				}
			}
		}
	})
}
