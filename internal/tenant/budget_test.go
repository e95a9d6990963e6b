package tenant_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestWindow_IsTheCalendarsInUTC(t *testing.T) {
	at := func(s string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, row := range []struct {
		period       tenant.Period
		at, from, to string
	}{
		{tenant.Monthly, "2026-02-28T23:59:59.999999Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{tenant.Monthly, "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{tenant.Monthly, "2026-12-31T12:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"", "2026-12-31T12:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{tenant.Weekly, "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"}, // a Sunday
		{tenant.Weekly, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"}, // a Monday
		{tenant.Weekly, "2027-01-01T08:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"},
		{tenant.Daily, "2024-02-28T23:30:00Z", "2024-02-28T00:00:00Z", "2024-02-29T00:00:00Z"},
		{tenant.Daily, "2026-03-29T00:30:00+02:00", "2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z"}, // another zone's night
	} {
		from, to := row.period.Window(at(row.at))
		if !from.Equal(at(row.from)) || !to.Equal(at(row.to)) || from.Location() != time.UTC || to.Location() != time.UTC {
			t.Errorf("%s at %s: got %v to %v, want %s to %s", row.period, row.at, from, to, row.from, row.to)
		}
	}
}

func TestBudget_IsTheRaisesWhileItStands(t *testing.T) {
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	b := tenant.Budget{Limit: 100, Raise: tenant.Raise{Limit: 500, Until: end, Why: "launch"}}
	for at, want := range map[time.Time]fleet.NanoUSD{end.Add(-time.Microsecond): 500, end: 100, end.Add(time.Hour): 100} {
		if got := b.At(at); got != want || b.Raised(at) != (want == 500) {
			t.Errorf("at %v: got %v, raised %v, want %v", at, got, b.Raised(at), want)
		}
	}
	none := tenant.Budget{}
	if none.At(end) != 0 || none.Raised(end) {
		t.Errorf("got a limit of no budget: %v", none.At(end))
	}
}

func TestParseUntil_IsADaysEndOrAMoment(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-31": "2027-01-01T00:00:00Z", "2024-02-28": "2024-02-29T00:00:00Z",
		"2026-12-31T12:00:00Z": "2026-12-31T12:00:00Z", "2026-12-31T12:00:00.0000019+01:00": "2026-12-31T11:00:00.000001Z",
		"": "", "tomorrow": "", "2026-02-30": "", "31.12.2026": "", "2026-12-31 12:00": "",
	} {
		at, err := tenant.ParseUntil(text)
		if got := at.Format(time.RFC3339Nano); (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("%q: got %s, %v, want %q", text, got, err, want)
		}
	}
}
