package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// The headers of a signed control call of TensorRT-LLM's sleep mode.
const (
	HeaderAuth      = "x-trtllm-runtime-control-auth"
	HeaderTimestamp = "x-trtllm-runtime-control-timestamp" // Unix seconds, decimal
	HeaderNonce     = "x-trtllm-runtime-control-nonce"     // 32 lower-case hex digits, fresh for every attempt
)

// Signature gives the value of HeaderAuth, "sha256=" and 64 lower-case hex digits, of one control call. The route is the
// registered one, without query or trailing slash; the body is exactly what is sent, empty for GET.
//
// A server may remember nonces and refuse a repeated one, so every attempt, a retry too, needs a nonce and a timestamp
// of its own.
func Signature(key []byte, method, route, timestamp, nonce string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{"trtllm-runtime-control-v1", method, route, timestamp, nonce} {
		mac.Write([]byte(part))
		mac.Write([]byte{'\n'})
	}
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
