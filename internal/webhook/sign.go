package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// leastKey is how many bytes a signing key has at least, as Standard Webhooks has it.
const leastKey = 24

// signingKey gives the key that a secret stands for: the bytes behind whsec_, in base64, or its own bytes.
func signingKey(secret string) ([]byte, error) {
	key := []byte(secret)
	if coded, is := strings.CutPrefix(secret, "whsec_"); is {
		var err error
		if key, err = base64.StdEncoding.DecodeString(coded); err != nil {
			return nil, errors.New("its secret begins with whsec_, but no base64 follows")
		}
	}
	if len(key) < leastKey {
		return nil, fmt.Errorf("its secret has %d bytes; it must have %d or more", len(key), leastKey)
	}
	return key, nil
}

// sign gives the value of webhook-signature for a message: HMAC-SHA256 over its ID, its time and its body.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
