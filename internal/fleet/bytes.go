package fleet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is an amount of memory.
type Bytes int64

var byteUnits = []struct {
	suffix string
	factor float64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

// ParseBytes reads an amount such as "1.5TiB", "64 GiB" or "32MB". A unit is required, so that nobody has to guess one.
func ParseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		number, found := strings.CutSuffix(s, u.suffix)
		if !found {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || v < 0 || math.IsNaN(v) || v*u.factor >= math.MaxInt64 {
			break
		}
		return Bytes(math.Round(v * u.factor)), nil
	}
	return 0, fmt.Errorf("%q is not an amount of memory; write a number and a unit, such as \"64GiB\" or \"1.5TiB\"", s)
}

// String gives the amount in the largest binary unit that keeps it exact to two decimals, such as "1.5TiB".
func (b Bytes) String() string {
	for _, u := range byteUnits[:4] {
		v := float64(b) / u.factor
		if v >= 1 && math.Abs(v*100-math.Round(v*100)) < 1e-9 {
			return strconv.FormatFloat(v, 'f', -1, 64) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}
