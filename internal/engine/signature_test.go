package engine_test

import (
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

func TestSignature_MatchesTheKnownVectors(t *testing.T) {
	const ts, nonce = "1760000000", "0123456789abcdef0123456789abcdef"
	for _, row := range []struct{ method, route, body, want string }{
		{"POST", "/release_memory", "", "sha256=e3b1b2242a77b16096d2393fb15d2d99262c0f4c79dcf3e0fc177550cd3bff30"},
		{"POST", "/resume_memory", `{"tags":["model","model_weights"]}`, "sha256=084f9e5c510e33f15e206ef0e39ae0cdc54a44a23bf754db49678b0a8077a8d0"},
		{"GET", "/memory_status", "", "sha256=6132ec8ce80408acfc382224ae6e129eeff95cac1d2c0dc8f686c13d4fa81e25"},
	} {
		if got := engine.Signature([]byte("secret"), row.method, row.route, ts, nonce, []byte(row.body)); got != row.want {
			t.Errorf("signature of %s %s: got %s, want %s", row.method, row.route, got, row.want)
		}
	}
}
