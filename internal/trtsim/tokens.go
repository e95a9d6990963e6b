package trtsim

import (
	"unicode"
	"unicode/utf8"
)

// Lengths of the pieces that words and numbers are cut into.
const (
	lettersPerToken = 8
	digitsPerToken  = 3
)

// What chat templates add, in tokens: each message its role and end, each prompt its start and the opening of the answer.
const (
	tokensPerPrompt  = 1
	tokensPerMessage = 4
	tokensPerAnswer  = 3
)

// Count says how many tokens a text has, by a rule that needs no vocabulary: a word is one token for every 8 letters begun, a
// number one for every 3 digits begun, any other visible character one, a run of line breaks one; other white space
// belongs to what follows it. A character from U+2E80 on (Han, kana, emoji) is a token of its own. A prompt adds 1 token for its
// start; a chat adds 4 for each message and 3 for the opening of the answer.
func Count(text string) int {
	n := 0
	for len(text) > 0 {
		size, visible := nextPiece(text)
		text = text[size:]
		if visible {
			n++
		}
	}
	return n
}

// pieces cuts a text into its tokens. Joined, they give the text without trailing white space.
func pieces(text string) []string {
	var all []string
	for len(text) > 0 {
		size, visible := nextPiece(text)
		if visible {
			all = append(all, text[:size])
		}
		text = text[size:]
	}
	return all
}

type class int

const (
	space class = iota
	newline
	letter
	digit
	single
)

func classOf(r rune) class {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		return letter
	case r >= '0' && r <= '9':
		return digit
	case r == '\n' || r == '\r':
		return newline
	case r == ' ' || r == '\t':
		return space
	case r < utf8.RuneSelf || r >= 0x2E80:
		return single
	case unicode.IsLetter(r), unicode.IsMark(r):
		return letter
	case unicode.IsSpace(r):
		return space
	}
	return single
}

// longest is how many characters of a class one token holds.
func longest(c class, all int) int {
	switch c {
	case letter:
		return lettersPerToken
	case digit:
		return digitsPerToken
	case newline:
		return all
	}
	return 1
}

// nextPiece gives the length of the first token with the white space before it; visible is false where only white space is left.
func nextPiece(text string) (size int, visible bool) {
	length, kind, limit := 0, space, 0
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(text[i:])
		}
		c := classOf(r)
		switch {
		case kind == space && c == space:
		case kind == space:
			kind, length = c, 1
			limit = longest(c, len(text))
		case c != kind || length == limit:
			return i, true
		default:
			length++
		}
		i += n
	}
	return len(text), kind != space
}

// tokenID is a made-up vocabulary index of a piece, stable everywhere.
func tokenID(piece string) int { return int(hash(1, piece) % 128_000) }

// hash is FNV-1a over a seed and a text, finished so that near seeds give unlike results.
func hash(seed uint64, text string) uint64 {
	h := uint64(14695981039346656037) ^ seed
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finisher of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
