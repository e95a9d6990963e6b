package hashchain_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/hashchain"
)

func TestHash_Text(t *testing.T) {
	for _, want := range []hashchain.Hash{{}, {0xab}, sha256.Sum256(nil)} {
		text, err := want.MarshalText()
		got := hashchain.Hash{7}
		if err != nil || string(text) != want.String() || got.UnmarshalText(text) != nil || got != want {
			t.Errorf("%x: got %x by way of %q, %v", want, got, text, err)
		}
	}
	for text, says := range map[string]string{
		"ab": "64 hexadecimal digits", strings.Repeat("a", 66): "64 hexadecimal digits", strings.Repeat("g", 64): "invalid byte",
	} {
		var h hashchain.Hash
		if err := h.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}
