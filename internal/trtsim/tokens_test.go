package trtsim_test

import (
	"testing"
	"unicode/utf8"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

func TestCountFollowsItsRule(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "   ": 0, "word": 1, " word": 1, "two words": 2, "eightlet": 1, "ninelette": 2, "1234": 2, "123": 1,
		"a1": 2, "Hello, world!": 4, "a\n\n\nb": 3, "tab\tbed": 2, "日本": 2, "naïve": 1, "\r\n": 1, "x  y ": 2, "привет": 1,
	} {
		if got := trtsim.Count(text); got != want {
			t.Errorf("Count(%q): got %d, want %d", text, got, want)
		}
	}
}

func FuzzCountIsBounded(f *testing.F) {
	f.Add("Hello, world")
	f.Add("\xff\xfe日")
	f.Fuzz(func(t *testing.T, s string) {
		if n := trtsim.Count(s); n < 0 || n > utf8.RuneCountInString(s) {
			t.Errorf("got %d tokens for %q, want at most one a character", n, s)
		}
	})
}
