package openai

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a request body, and with it the stack of whoever reads it after us.
const maxDepth = 200

// maxKey bounds the name of a member in bytes, as it is written: an escaped one is decoded to be known.
const maxKey = 1 << 10

// lexer walks JSON text, as strictly as encoding/json. After a method has said false, i is where the text went wrong.
// It does not check UTF-8: that is done for a whole body at once, which is faster.
type lexer struct {
	b    []byte
	i    int
	deep bool // it went wrong because of maxDepth
	long bool // it went wrong because of maxKey
}

// span is a part of the text, from the first byte to the one after the last.
type span struct{ start, end int }

func (s span) of(b []byte) []byte { return b[s.start:s.end] }

// peek is the byte at i, 0 at the end (which begins nothing in JSON).
func (l *lexer) peek() byte {
	if l.i < len(l.b) {
		return l.b[l.i]
	}
	return 0
}

func (l *lexer) space() {
	for l.i < len(l.b) && (l.b[l.i] == ' ' || l.b[l.i] == '\n' || l.b[l.i] == '\r' || l.b[l.i] == '\t') {
		l.i++
	}
}

// take moves over c and the space after it.
func (l *lexer) take(c byte) bool {
	if l.peek() != c {
		return false
	}
	l.i++
	l.space()
	return true
}

// more moves to the next element after one has been read: true, true; or over the closing bracket: false, true.
func (l *lexer) more(closing byte) (another, ok bool) {
	l.space()
	switch l.peek() {
	case ',':
		l.i++
		l.space()
		return true, true
	case closing:
		l.i++
		return false, true
	}
	return false, false
}

// key moves over a member's name and its colon, up to the value.
func (l *lexer) key() (name span, escaped, ok bool) {
	name, escaped, ok = l.text()
	if l.long = ok && name.end-name.start > maxKey; !ok || l.long {
		return name, escaped, false
	}
	l.space()
	return name, escaped, l.take(':')
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// text moves over a string and gives what is between its quotes, and whether it has escapes. Eight bytes at a time: the
// lowest bit of hit marks the first byte that is a quote, a backslash or a control character.
func (l *lexer) text() (s span, escaped, ok bool) {
	if l.peek() != '"' {
		return s, false, false
	}
	b, i := l.b, l.i+1
	s.start = i
	for {
		for i+8 <= len(b) {
			v := binary.LittleEndian.Uint64(b[i:])
			quote, slash := v^(ones*'"'), v^(ones*'\\')
			hit := ((v - ones*0x20) &^ v) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
			if hit &= highs; hit != 0 {
				i += bits.TrailingZeros64(hit) / 8
				break
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
			i++
		}
		l.i = i
		switch {
		case i == len(b) || b[i] < 0x20:
			return s, escaped, false
		case b[i] == '"':
			s.end = i
			l.i++
			return s, escaped, true
		}
		escaped = true
		if i = escapeEnd(b, i); i < 0 {
			return s, escaped, false
		}
	}
}

// escapeEnd is the index after the escape at i, -1 if it is none.
func escapeEnd(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return i + 6
		}
	}
	return -1
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// skip moves over any value.
func (l *lexer) skip(depth int) bool {
	switch c := l.peek(); c {
	case '"':
		_, _, ok := l.text()
		return ok
	case '{':
		return l.skipObject(depth + 1)
	case '[':
		return l.skipArray(depth + 1)
	case 't':
		return l.literal("true")
	case 'f':
		return l.literal("false")
	case 'n':
		return l.literal("null")
	}
	return l.number()
}

func (l *lexer) enter(depth int) bool {
	l.deep = depth > maxDepth
	if l.deep {
		return false
	}
	l.i++
	l.space()
	return true
}

func (l *lexer) skipObject(depth int) bool {
	if !l.enter(depth) {
		return false
	}
	if l.peek() == '}' {
		l.i++
		return true
	}
	for {
		if _, _, ok := l.key(); !ok || !l.skip(depth) {
			return false
		}
		if another, ok := l.more('}'); !another {
			return ok
		}
	}
}

func (l *lexer) skipArray(depth int) bool {
	if !l.enter(depth) {
		return false
	}
	if l.peek() == ']' {
		l.i++
		return true
	}
	for {
		if !l.skip(depth) {
			return false
		}
		if another, ok := l.more(']'); !another {
			return ok
		}
	}
}

func (l *lexer) literal(word string) bool {
	if len(l.b)-l.i < len(word) || string(l.b[l.i:l.i+len(word)]) != word {
		return false
	}
	l.i += len(word)
	return true
}

func (l *lexer) number() bool {
	if l.peek() == '-' {
		l.i++
	}
	if l.peek() == '0' {
		l.i++
	} else if !l.digits() {
		return false
	}
	if l.peek() == '.' {
		l.i++
		if !l.digits() {
			return false
		}
	}
	if l.peek()|0x20 == 'e' {
		l.i++
		if c := l.peek(); c == '+' || c == '-' {
			l.i++
		}
		return l.digits()
	}
	return true
}

func (l *lexer) digits() bool {
	start := l.i
	for l.i < len(l.b) && l.b[l.i]-'0' <= 9 {
		l.i++
	}
	return l.i > start
}

// appendDecoded appends what the inside of a valid JSON string stands for. Lone surrogates become U+FFFD, as in encoding/json.
func appendDecoded(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw, i+1)
			i += 4
			if utf16.IsSurrogate(r) {
				r, i = decodePair(raw, i, r)
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, raw[i])
		}
	}
	return dst
}

// decodePair gives the rune of the surrogate r, which ends at i, and of the one that follows, if both make a pair.
func decodePair(raw []byte, i int, r rune) (rune, int) {
	if i+2 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
		second, _ := hex4(raw, i+3)
		if whole := utf16.DecodeRune(r, second); whole != utf8.RuneError {
			return whole, i + 6
		}
	}
	return utf8.RuneError, i
}
