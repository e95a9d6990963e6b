package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pilotlight-io/pilotlight/internal/hashchain"
)

// Hash is what a record is known by in its organisation's chain: whoever changes, drops or adds a record changes all hashes behind it. The zero
// value stands for none.
//
// It is the SHA-256 of the record's canonical text and, right behind it, the 64 hexadecimal digits of the hash before (nothing for the first of a
// chain). The canonical text is the record's JSON object in the form of RFC 8785: keys sorted, no spaces, and only those characters escaped that
// must be; without its keys hash, previous and cost_usd. So a key that a later version adds must be left out where it is empty.
type Hash = hashchain.Hash

// HashOf gives the hash of a record as it is kept. It needs nothing but the record.
func HashOf(r *Record) Hash { return sha256.Sum256(appendHashed(make([]byte, 0, 1024), r)) }

// appendHashed appends what a record's hash is of.
func appendHashed(b []byte, r *Record) []byte {
	return appendPrevious(appendCanonical(b, r), r.Previous)
}

// appendPrevious appends to a canonical text the hash before it.
func appendPrevious(text []byte, previous Hash) []byte {
	if previous == (Hash{}) {
		return text
	}
	return hex.AppendEncode(text, previous[:])
}

// HashOfJSON gives the hash of a record from its JSON object alone, keys included that this version does not know.
func HashOfJSON(object []byte) (Hash, error) {
	in := json.NewDecoder(bytes.NewReader(object))
	in.UseNumber()
	var fields map[string]any
	if err := in.Decode(&fields); err != nil {
		return Hash{}, fmt.Errorf("reading a usage record: %w", err)
	}
	var previous Hash
	if text, ok := fields["previous"].(string); ok {
		if err := previous.UnmarshalText([]byte(text)); err != nil {
			return Hash{}, fmt.Errorf("reading previous of a usage record: %w", err)
		}
	}
	for _, key := range []string{"hash", "previous", "cost_usd"} {
		delete(fields, key)
	}
	text, err := appendValue(nil, fields)
	if err != nil {
		return Hash{}, fmt.Errorf("reading a usage record: %w", err)
	}
	return sha256.Sum256(appendPrevious(text, previous)), nil
}

// appendValue appends the canonical form of a JSON value.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil {
			return b, fmt.Errorf("%s is no whole number of 64 bits", v)
		}
		return strconv.AppendInt(b, n, 10), nil
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, key), ':')
			var err error
			if b, err = appendValue(b, v[key]); err != nil {
				return b, fmt.Errorf("%s: %w", key, err)
			}
		}
		return append(b, '}'), nil
	}
	return b, fmt.Errorf("a list has no place in a usage record")
}

// appendCanonical appends a record's canonical text: what appendValue makes of its JSON, without the JSON. Append does this for each record, so it
// takes no memory of its own.
func appendCanonical(b []byte, r *Record) []byte {
	b = appendNumber(b, `{"activate_us":`, r.Activate.Microseconds())
	b = appendNumber(b, `,"billed_us":`, r.Billed.Microseconds())
	b = appendIfAny(b, `,"chain":`, r.Chain)
	b = appendTokens(b, `,"completion_tokens":`, r.CompletionTokens, r.TokensUnknown)
	b = appendIfAny(b, `,"corrects":`, r.Corrects)
	b = appendNumber(b, `,"cost_nano_usd":`, int64(r.Cost))
	b = appendInstant(b, `,"dispatched_at":"`, r.DispatchedAt)
	b = appendNumber(b, `","gpus":`, int64(r.GPUs))
	b = appendString(append(b, `,"id":`...), r.ID)
	b = appendString(append(b, `,"instance":`...), r.Instance)
	b = appendString(append(b, `,"kind":`...), string(r.Kind))
	b = appendString(append(b, `,"model":`...), r.Model)
	b = appendString(append(b, `,"org":`...), r.Org)
	b = appendNumber(b, `,"price_nano_usd_per_gpu_hour":`, int64(r.Price))
	b = appendTokens(b, `,"prompt_tokens":`, r.PromptTokens, r.TokensUnknown)
	b = appendNumber(b, `,"queue_us":`, r.Queue.Microseconds())
	b = appendIfAny(b, `,"reason":`, r.Reason)
	b = appendInstant(b, `,"received_at":"`, r.ReceivedAt)
	b = appendString(append(b, `","request_id":`...), r.RequestID)
	b = appendString(append(b, `,"start":`...), string(r.Start))
	b = appendString(append(b, `,"status":`...), string(r.Status))
	b = appendString(append(b, `,"token_id":`...), r.TokenID)
	b = appendNumber(b, `,"ttft_us":`, r.TTFT.Microseconds())
	b = appendNumber(b, `,"upstream_us":`, r.Upstream.Microseconds())
	if r.Wake != 0 {
		b = appendNumber(b, `,"wake_us":`, r.Wake.Microseconds())
	}
	return append(b, '}')
}

func appendIfAny(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, key...), s)
}

func appendNumber(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(b, key...), n, 10)
}

func appendTokens(b []byte, key string, n int64, unknown bool) []byte {
	if unknown {
		return append(append(b, key...), "null"...)
	}
	return appendNumber(b, key, n)
}

// appendInstant is AppendFormat with instantLayout, for which it would take most of the time of a record.
func appendInstant(b []byte, key string, at time.Time) []byte {
	at = at.UTC()
	b = append(b, key...)
	year, month, day := at.Date()
	if year < 0 || year > 9999 {
		return at.AppendFormat(b, instantLayout)
	}
	hour, minute, second := at.Clock()
	b = appendDigits(b, 4, year)
	b = appendDigits(append(b, '-'), 2, int(month))
	b = appendDigits(append(b, '-'), 2, day)
	b = appendDigits(append(b, 'T'), 2, hour)
	b = appendDigits(append(b, ':'), 2, minute)
	b = appendDigits(append(b, ':'), 2, second)
	b = appendDigits(append(b, '.'), 6, at.Nanosecond()/1000)
	return append(b, 'Z')
}

// appendDigits appends so many digits of a number.
func appendDigits(b []byte, digits, n int) []byte {
	b = append(b, "000000"[:digits]...)
	for i := len(b) - 1; n > 0; i, n = i-1, n/10 {
		b[i] = byte('0' + n%10)
	}
	return b
}

// appendString appends a JSON string in the form of RFC 8785. Bytes that are no UTF-8 become U+FFFD, as in our JSON.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if plain(s) {
		b = append(b, s...)
		return append(b, '"')
	}
	for _, c := range s {
		switch at := strings.IndexRune("\"\\\b\f\n\r\t", c); {
		case at >= 0:
			b = append(b, '\\', `"\bfnrt`[at])
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '"')
}

// plain reports whether a text is ASCII of which nothing is escaped.
func plain(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] { // eight bytes at a time: what is below a space, a quote or a backslash borrows from its highest bit
		v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, slash := v^(ones*'"'), v^(ones*'\\')
		if (v|(v-ones*' ')|(quote-ones)|(slash-ones))&highs != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
