package tenant

import (
	"crypto/rand"
	"hash/crc32"
	"math/big"
	"strings"
)

// A secret is pl_ + 43 base62 digits of 256 random bits + 6 base62 digits of the CRC-32 (IEEE) of those 43, so that
// secret scanners can tell one from noise, and a typo is refused without a look-up.
const (
	prefix         = "pl_"
	digits         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomDigits   = 43 // 62^43 > 2^256
	checksumDigits = 6  // 62^6 > 2^32
	secretLen      = len(prefix) + randomDigits + checksumDigits
)

// NewSecret makes the secret of a new token from 256 random bits.
func NewSecret() string {
	var random [32]byte
	rand.Read(random[:]) // never fails: it would end the program
	var secret [secretLen]byte
	copy(secret[:], prefix)
	body := secret[len(prefix) : len(prefix)+randomDigits]
	n, base, digit := new(big.Int).SetBytes(random[:]), big.NewInt(int64(len(digits))), new(big.Int)
	for i := len(body) - 1; i >= 0; i-- {
		n.QuoRem(n, base, digit)
		body[i] = digits[digit.Int64()]
	}
	sum := checksum(string(body))
	copy(secret[len(prefix)+randomDigits:], sum[:])
	return string(secret[:])
}

// CheckSecret reports whether a secret has the form of one and its checksum fits. It says nothing about whether a token
// has it.
func CheckSecret(secret string) bool {
	if len(secret) != secretLen || !strings.HasPrefix(secret, prefix) {
		return false
	}
	body := secret[len(prefix) : len(prefix)+randomDigits]
	for i := range len(body) {
		if !isDigit(body[i]) {
			return false
		}
	}
	sum := checksum(body)
	return secret[len(prefix)+randomDigits:] == string(sum[:])
}

func checksum(body string) [checksumDigits]byte {
	// crc32.ChecksumIEEE would want a slice, which escapes: an allocation on every request.
	n := ^uint32(0)
	for i := range len(body) {
		n = crc32.IEEETable[byte(n)^body[i]] ^ n>>8
	}
	n = ^n
	var sum [checksumDigits]byte
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = digits[n%uint32(len(digits))]
		n /= uint32(len(digits))
	}
	return sum
}

func isDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
