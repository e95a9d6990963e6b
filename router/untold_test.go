package router_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// Usage that the engine never told is null in records and receipts: 0 would say that it had counted.
func TestReceipt_TokensThatTheEngineNeverToldAreNull(t *testing.T) {
	t.Parallel()
	const whole = `{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]%s}`
	said := map[string]http.HandlerFunc{
		"whole, untold": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, whole, "")
		},
		"whole, null": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, whole, `,"usage":null`)
		},
		"stream, untold": func(w http.ResponseWriter, r *http.Request) { events(w, token("a"), "data: [DONE]\n\n") },
		"engine error": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(500)
			fmt.Fprint(w, `{"error":{"message":"no","code":500}}`)
		},
		"told": answerChat,
	}
	for name, handler := range said {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.heat(chatModel)
				w.engines.swap(handler)
				body := chat(chatModel)
				if strings.HasPrefix(name, "stream") {
					body = chat(chatModel, stream)
				}
				w.do(call{body: body, header: map[string]string{"X-Request-Id": "asked"}})
				a := w.do(call{method: "GET", path: "/v1/usage/asked"})
				want := `"prompt_tokens":null,"completion_tokens":null`
				if name == "told" {
					want = `"prompt_tokens":5,"completion_tokens":3`
				}
				if a.StatusCode != 200 || !strings.Contains(a.text, want) {
					t.Errorf("got %d %s, want %s", a.StatusCode, a.text, want)
				}
			})
		})
	}
}
