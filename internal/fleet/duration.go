package fleet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// ParseDuration reads a time span such as "9m", "1h30m" or "90d". A day is 24 hours and may only come first ("1d12h").
// A sign is an error: no span of Pilotlight is negative.
func ParseDuration(s string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a time span; write a number and a unit, such as \"30s\", \"9m\", \"1h30m\" or \"90d\"", s)
	if s == "" || strings.ContainsAny(s, "+-") {
		return 0, wrong
	}
	number, rest, found := strings.Cut(s, "d")
	if !found {
		number, rest = "", s
	}
	var span time.Duration
	if found {
		days, err := strconv.ParseUint(number, 10, 32)
		if err != nil || days > uint64(math.MaxInt64/day) {
			return 0, wrong
		}
		span = time.Duration(days) * day
	}
	if rest != "" {
		v, err := time.ParseDuration(rest)
		if err != nil || v > math.MaxInt64-span {
			return 0, wrong
		}
		span += v
	}
	return span, nil
}

// FormatDuration writes a time span the way people write it in a config: without zero parts, such as "9m", "1h30m" or "400d".
// ParseDuration reads it back exactly.
func FormatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
