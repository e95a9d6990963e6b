package wire_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/tenant/wire"
)

// What limits are written as, they are read as: an answer of one installation can be given to another.
func TestLimits_AreReadAsTheyAreWritten(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	until := time.Date(2026, 12, 24, 18, 0, 0, 5000, time.UTC)
	for name, want := range map[string]tenant.Limits{
		"none": {Budget: tenant.Budget{Period: tenant.Monthly}},
		"all": {RPM: 600, Concurrency: 32, Budget: tenant.Budget{
			Limit: 99_000_000_001, Period: tenant.Weekly, Soft: true, Raise: tenant.Raise{Limit: 1<<63 - 1, Until: until, Why: `"launch"`},
		}},
	} {
		text, err := json.Marshal(wire.LimitsOf(want, now))
		if err != nil {
			t.Fatal(err)
		}
		var said wire.LimitsChange
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatalf("%s: %s: %v", name, text, err)
		}
		change, err := said.Read()
		if err != nil {
			t.Fatal(err)
		}
		var got tenant.Limits
		for field, value := range map[*int]*int{&got.RPM: change.RPM, &got.Concurrency: change.Concurrency} {
			if value != nil {
				*field = *value
			}
		}
		got.Budget.Period, got.Budget.Soft = *change.Period, *change.Soft
		if change.Budget != nil {
			got.Budget.Limit = *change.Budget
		}
		if change.Raise != nil {
			got.Budget.Raise = *change.Raise
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s as %s (-written +read):\n%s", name, text, diff)
		}
	}
}

func TestParseExpiry(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "90d": now.AddDate(0, 0, 90), "2026-11-29T13:00:01+01:00": now.Add(time.Second),
		"2026-11-29": now.Add(12 * time.Hour),
	} {
		if got, err := wire.ParseExpiry(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-1d", "0s", "2026-11-29T12:00:00Z", "2026-11-28", "9000000000000d"} {
		var invalid *tenant.InvalidError
		if got, err := wire.ParseExpiry(text, now); !errors.As(err, &invalid) || invalid.Field != "expires" {
			t.Errorf("%q: got %v, %v, want it refused", text, got, err)
		}
	}
}
