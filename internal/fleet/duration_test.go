package fleet_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestParseDuration_ReadsWhatPeopleWrite(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "9m": 9 * time.Minute, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute,
		"90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "400d": 400 * 24 * time.Hour, "106751d": 106751 * 24 * time.Hour,
	} {
		got, err := fleet.ParseDuration(s)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q): got %v, %v, want %v", s, got, err, want)
		}
	}
}

func TestParseDuration_RefusesTheRest(t *testing.T) {
	for _, s := range []string{"", "9", "-5m", "+5m", "5m-3s", "d", "1.5d", "-1d", "1d-1h", "12h1d", "106752d", "106751d24h", "9 m", "1w", "nine minutes"} {
		if got, err := fleet.ParseDuration(s); err == nil {
			t.Errorf("ParseDuration(%q): got %v, want an error", s, got)
		}
	}
}

func TestFormatDuration_ComesBack(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "9m": 9 * time.Minute, "1h30m": 90 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour,
		"400d": 400 * 24 * time.Hour, "36h": 36 * time.Hour, "10m10s": 610 * time.Second, "1h0m5s": time.Hour + 5*time.Second, "1.5s": 1500 * time.Millisecond,
	} {
		got := fleet.FormatDuration(d)
		back, err := fleet.ParseDuration(got)
		if got != want || err != nil || back != d {
			t.Errorf("FormatDuration(%v): got %q, which reads as %v, %v; want %q", d, got, back, err, want)
		}
	}
}
