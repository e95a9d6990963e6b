package fleet

import (
	"fmt"
	"math/big"
	"strings"
)

// NanoUSD is money in billionths of a US dollar. No floating point holds money anywhere.
type NanoUSD int64

// ParseUSD reads a decimal amount of US dollars such as "8.25", exactly. More than nine decimals, a sign, an exponent or
// an amount above 9 billion dollars is an error.
func ParseUSD(s string) (NanoUSD, error) {
	if len(s) > mostDigits { // before arithmetic on it
		return 0, fmt.Errorf("an amount of US dollars has at most %d characters, such as \"8.25\"", mostDigits)
	}
	digits := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }) < 0
	r, ok := new(big.Rat).SetString(s)
	if !ok || !digits {
		return 0, fmt.Errorf("%q is not an amount of US dollars; write a decimal such as \"8.25\"", s)
	}
	r.Mul(r, big.NewRat(1e9, 1))
	if !r.IsInt() {
		return 0, fmt.Errorf("%q has more than nine decimals; write a decimal such as \"8.25\"", s)
	}
	if !r.Num().IsInt64() {
		return 0, fmt.Errorf("%q is more than 9 billion US dollars", s)
	}
	return NanoUSD(r.Num().Int64()), nil
}

const mostDigits = 64

// String gives the amount in US dollars as a decimal with at least two decimals and no needless zeros, such as "8.25" or "0.002291667".
func (n NanoUSD) String() string {
	sign := ""
	u := uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	frac := strings.TrimRight(fmt.Sprintf("%09d", u%1e9), "0")
	for len(frac) < 2 {
		frac += "0"
	}
	return fmt.Sprintf("%s%d.%s", sign, u/1e9, frac)
}
