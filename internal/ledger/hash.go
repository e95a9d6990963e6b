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
)

// Hash is what a record is known by in its organisation's chain: whoever changes, drops or adds a record changes all hashes behind it. The zero
// value stands for none.
//
// It is the SHA-256 of the record's canonical text and, right behind it, the 64 hexadecimal digits of the hash before (nothing for the first of a
// chain). The canonical text is the record's JSON object in the form of RFC 8785: keys sorted, no spaces, and only those characters escaped that
// must be; without its keys hash, previous and cost_usd. So a key that a later version adds must be left out where it is empty.
type Hash [sha256.Size]byte

// String gives 64 hexadecimal digits; "" for none.
func (h Hash) String() string {
	if h == (Hash{}) {
		return ""
	}
	return hex.EncodeToString(h[:])
}

// MarshalText is String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is the inverse of String.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = Hash{}
		return nil
	}
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("%q is not a hash; one has 64 hexadecimal digits", text)
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("%q is not a hash: %w", text, err)
	}
	return nil
}

// HashOf gives the hash of a record as it is kept. It needs nothing but the record.
func HashOf(r *Record) Hash {
	return chained(appendCanonical(make([]byte, 0, 1024), r), r.Previous)
}

// chained gives the hash of a canonical text behind the hash before it. The text's memory is written to.
func chained(text []byte, previous Hash) Hash {
	if previous != (Hash{}) {
		text = hex.AppendEncode(text, previous[:])
	}
	return sha256.Sum256(text)
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
	return chained(text, previous), nil
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
	o := object{b: append(b, '{')}
	o.number("activate_us", r.Activate.Microseconds())
	o.number("billed_us", r.Billed.Microseconds())
	o.textIfAny("chain", r.Chain)
	o.tokens("completion_tokens", r.CompletionTokens, r.TokensUnknown)
	o.textIfAny("corrects", r.Corrects)
	o.number("cost_nano_usd", int64(r.Cost))
	o.instant("dispatched_at", r.DispatchedAt)
	o.number("gpus", int64(r.GPUs))
	o.text("id", r.ID)
	o.text("instance", r.Instance)
	o.text("kind", string(r.Kind))
	o.text("model", r.Model)
	o.text("org", r.Org)
	o.number("price_nano_usd_per_gpu_hour", int64(r.Price))
	o.tokens("prompt_tokens", r.PromptTokens, r.TokensUnknown)
	o.number("queue_us", r.Queue.Microseconds())
	o.textIfAny("reason", r.Reason)
	o.instant("received_at", r.ReceivedAt)
	o.text("request_id", r.RequestID)
	o.text("start", string(r.Start))
	o.text("status", string(r.Status))
	o.text("token_id", r.TokenID)
	o.number("ttft_us", r.TTFT.Microseconds())
	o.number("upstream_us", r.Upstream.Microseconds())
	if r.Wake != 0 {
		o.number("wake_us", r.Wake.Microseconds())
	}
	return append(o.b, '}')
}

// object is a JSON object that is being written, its keys in order.
type object struct {
	b []byte
}

func (o *object) key(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) text(key, s string) {
	o.key(key)
	o.b = appendString(o.b, s)
}

func (o *object) textIfAny(key, s string) {
	if s != "" {
		o.text(key, s)
	}
}

func (o *object) number(key string, n int64) {
	o.key(key)
	o.b = strconv.AppendInt(o.b, n, 10)
}

func (o *object) tokens(key string, n int64, unknown bool) {
	if unknown {
		o.key(key)
		o.b = append(o.b, "null"...)
		return
	}
	o.number(key, n)
}

func (o *object) instant(key string, at time.Time) {
	o.key(key)
	o.b = append(at.UTC().AppendFormat(append(o.b, '"'), instantLayout), '"')
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
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
