package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/hashchain"
)

// Entry is one act as it is kept.
type Entry struct {
	ID      int64           `json:"id"` // from 1, without gaps
	At      Instant         `json:"at"`
	Actor   string          `json:"actor"`
	Org     string          `json:"org"`
	Via     Via             `json:"via"`
	From    string          `json:"from"`
	Request string          `json:"request_id"`
	Action  string          `json:"action"`
	Subject string          `json:"subject"`
	Before  json.RawMessage `json:"before"` // an object, or null
	After   json.RawMessage `json:"after"`
	Error   string          `json:"error"` // why it was not done; "" = it was

	Hash     Hash `json:"hash"`
	Previous Hash `json:"previous"` // the hash of the entry before; none for the first
}

// Hash ties an entry to the one before. The zero value stands for none.
//
// It is the SHA-256 of the entry's canonical text and, right behind it, the 64 hexadecimal digits of the hash before (nothing for the first entry). The
// canonical text is the entry's JSON object without hash and previous: keys sorted, no spaces, and only those characters escaped that must be.
type Hash = hashchain.Hash

// Instant is a moment as the APIs write it: UTC, always with microseconds.
type Instant struct{ time.Time }

const instant = "2006-01-02T15:04:05.000000Z"

// String is as the APIs write it.
func (i Instant) String() string { return i.UTC().Format(instant) }

// MarshalJSON writes the moment.
func (i Instant) MarshalJSON() ([]byte, error) {
	return i.UTC().AppendFormat(nil, `"`+instant+`"`), nil
}

// HashOf gives the hash that an entry has to have. It needs nothing but the entry.
func (e *Entry) HashOf() Hash {
	text := canonical(map[string]any{
		"id": e.ID, "at": e.At.String(), "actor": e.Actor, "org": e.Org, "via": e.Via, "from": e.From, "request_id": e.Request,
		"action": e.Action, "subject": e.Subject, "before": parsed(e.Before), "after": parsed(e.After), "error": e.Error,
	})
	if e.Previous != (Hash{}) {
		text = hex.AppendEncode(text, e.Previous[:])
	}
	return sha256.Sum256(text)
}

// canonical writes what JSON can hold: keys sorted, no spaces, nothing escaped that need not be.
func canonical(v any) []byte {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(v); err != nil {
		panic(fmt.Sprintf("audit: writing what was read as JSON: %v", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// parsed reads JSON with its numbers as they stand; what is none is nil.
func parsed(text json.RawMessage) (v any) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	if in.Decode(&v) != nil {
		return nil
	}
	return v
}

// Checker says whether entries are as they were kept. It is handed all of them, from the newest to the first.
type Checker struct {
	Entries int64    // seen
	Newest  Hash     // of the first that was seen: who keeps it elsewhere finds out whether entries behind it were taken away
	Wrong   []string // what is not as it was

	after *Entry // the one before in this order; nil = none
}

// Add looks at the next entry.
func (c *Checker) Add(e *Entry) {
	c.Entries++
	switch after := c.after; {
	case after == nil:
		c.Newest = e.Hash
	case e.ID != after.ID-1:
		c.wrong("there is no entry between %d and %d", e.ID, after.ID)
	case e.Hash != after.Previous:
		c.wrong("entry %d is not the one that %d was tied to", e.ID, after.ID)
	}
	if e.HashOf() != e.Hash {
		c.wrong("entry %d is not what its hash was made of", e.ID)
	}
	c.after = e
}

// End says that there are no more.
func (c *Checker) End() {
	if first := c.after; first != nil && (first.ID != 1 || first.Previous != Hash{}) {
		c.wrong("the entries before %d are missing", first.ID)
	}
}

func (c *Checker) wrong(format string, args ...any) {
	c.Wrong = append(c.Wrong, fmt.Sprintf(format, args...))
}
