// Package hashchain has the hash that ties each entry of an append-only list to the one before. Usage records and the audit log are such lists; what their
// hashes are of, they say themselves.
package hashchain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hash is a SHA-256. The zero value stands for none.
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
	*h = Hash{}
	if len(text) == 0 {
		return nil
	}
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("%q is not a hash; one has %d hexadecimal digits", text, hex.EncodedLen(len(h)))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("%q is not a hash: %w", text, err)
	}
	return nil
}
