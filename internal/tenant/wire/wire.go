// Package wire is tokens and limits as both APIs and import files write them.
//
// It promises that what it reads is exactly what it writes: money as decimals, times in RFC 3339 with microseconds in UTC, null for what there is none of.
// Its errors are *tenant.InvalidError, whose Field is the JSON name. It never decides what is allowed: package tenant does.
package wire

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Time is a moment as the APIs write it: RFC 3339, UTC, with microseconds.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000000Z"

// MarshalJSON writes the moment.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"`+timeLayout+`"`), nil
}

// when is nil for nil.
func when(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	return &Time{*t}
}

// ParseExpiry reads when a token ends: a time span from now, such as "90d", or what tenant.ParseUntil takes. "" = never, the zero time.
func ParseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := fleet.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d).UTC(), nil
	}
	at, err := tenant.ParseUntil(s)
	switch {
	case err != nil:
		return time.Time{}, &tenant.InvalidError{Field: "expires", Message: fmt.Sprintf("%q is no time span such as 90d, no day such as 2026-12-31 and no moment in RFC 3339", s)}
	case !at.After(now):
		return time.Time{}, &tenant.InvalidError{Field: "expires", Message: s + " has passed already"}
	}
	return at, nil
}
