package account

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// TestMeter_ClockIsSet: which period pays is said by the date of the dispatch, also where the clock goes back; how long is said by the clock that nobody sets.
func TestMeter_ClockIsSet(t *testing.T) {
	all := New(Config{Memory: 1, Cost: ledger.Cost})
	all.timer = func(func()) *time.Timer { return idleTimer(func() {}) }
	m := all.meterOf("acme")
	second := ledger.Cost(time.Second, 1, 8_250_000_000)
	today := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	all.made = today
	m.set("", Budget{Limit: second, Period: "daily", Window: days["daily"]}, today)
	spend := func(at time.Time, d time.Duration) (time.Duration, error) {
		r := &run{rate: rates[0], unit: rates[0].unit(), least: 2, proven: 0}
		if err := m.join(r, "t", at); err != nil {
			return 0, err
		}
		m.pay(r, at, time.Time{}, at)
		return m.bill(r, at, at, at.Add(d)).Sub(at), nil
	}
	for _, row := range []struct {
		at   time.Time
		long time.Duration // that is billed of a minute; 0 = it is refused
	}{
		{today, time.Second},
		{today.Add(time.Minute), 0},
		{today.Add(25 * time.Hour), time.Second},   // it is set to tomorrow
		{today.Add(2 * time.Minute), 0},            // and back
		{today.Add(25*time.Hour + time.Minute), 0}, // and tomorrow comes
	} {
		got, err := spend(row.at, time.Minute)
		if got.Truncate(time.Microsecond) != row.long || (err != nil) != (row.long == 0) {
			t.Errorf("at %v: got %v billed, %v, want %v", row.at, got, err, row.long)
		}
	}
}

// TestMeter_LooksLate: however late the meter looks, each request is billed to the end of that of its two budgets that was used up first, and what a token's
// budget has ended leaves the rest to others.
func TestMeter_LooksLate(t *testing.T) {
	all := New(Config{Memory: 1, Cost: ledger.Cost})
	all.timer = func(func()) *time.Timer { return idleTimer(func() {}) }
	m := all.meterOf("acme")
	worth := func(d time.Duration) fleet.NanoUSD { return ledger.Cost(d, 1, 8_250_000_000) }
	m.set("", Budget{Limit: worth(3 * time.Second), Period: "daily", Window: days["daily"]}, all.made)
	m.set("small", Budget{Limit: worth(time.Second), Period: "daily", Window: days["daily"]}, all.made)
	m.set("large", Budget{Limit: worth(time.Minute), Period: "daily", Window: days["daily"]}, all.made)
	runs := map[string]*run{}
	for _, token := range []string{"small", "large"} {
		r := &run{rate: rates[0], unit: rates[0].unit(), least: 3, proven: 0}
		if err := m.join(r, token, all.made); err != nil {
			t.Fatal(err)
		}
		m.pay(r, all.made, time.Time{}, all.made)
		runs[token] = r
	}
	m.look(all.made.Add(time.Hour))
	for token, want := range map[string]time.Duration{"small": time.Second, "large": 2 * time.Second} {
		until := m.bill(runs[token], all.made, all.made, all.made.Add(time.Hour))
		if got := until.Sub(all.made).Truncate(time.Microsecond); got != want {
			t.Errorf("%s: got %v billed, want %v", token, got, want)
		}
	}
}
