package account

import (
	"flag"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// metered is a meter and its spec, which are told the same. Its clock is its own, and its timer never fires.
type metered struct {
	*rapid.T
	all   *Accounts
	meter *meter
	spec  spec
	at    int64
	runs  map[int]*meteredRun
	next  int
	cut   []int // since it was last looked at
}

type meteredRun struct {
	run
	id   int
	told func(id int, until int64)
}

func (r *meteredRun) OutOfBudget(_ *BudgetError, until time.Time) {
	r.told(r.id, r.meter.all.since(until))
}

func newMetered(t *rapid.T) *metered {
	all := New(Config{Memory: 1, Cost: ledger.Cost})
	all.made = time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)
	all.timer = func(func()) *time.Timer { return idleTimer(func() {}) }
	return &metered{T: t, all: all, meter: all.meterOf("acme"), spec: newSpec(all.made), runs: map[int]*meteredRun{}}
}

func (m *metered) now() time.Time { return m.all.moment(m.at) }

// pass lets time pass: mostly about what a nano-dollar buys, sometimes to an end of a day.
func (m *metered) pass() {
	const day = int64(24 * time.Hour)
	switch rapid.IntRange(0, 19).Draw(m.T, "clock") {
	case 0:
		end := ((m.at+22*int64(time.Hour))/day+1)*day - 22*int64(time.Hour)
		m.at = max(m.at, end-rapid.Int64Range(0, 5000).Draw(m.T, "to the end"))
	case 1:
		m.at += rapid.Int64Range(0, int64(time.Minute)).Draw(m.T, "long")
	default:
		m.at += rapid.Int64Range(0, 4000).Draw(m.T, "ns")
	}
}

var (
	rates = []Rate{{1, 8_250_000_000}, {8, 8_250_000_000}, {1, 1_000_000}, {2, 3_600_000_000_000}, {3, 1 << 50}}
	days  = map[string]func(time.Time) (time.Time, time.Time){
		"daily": func(at time.Time) (time.Time, time.Time) {
			from := at.UTC().Truncate(24 * time.Hour)
			return from, from.AddDate(0, 0, 1)
		},
		"monthly": func(at time.Time) (time.Time, time.Time) {
			from := time.Date(at.UTC().Year(), at.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
			return from, from.AddDate(0, 1, 0)
		},
	}
)

func (m *metered) join() {
	r := &meteredRun{id: m.next, told: func(id int, until int64) {
		if want := m.runs[id].until; until != want {
			m.Fatalf("run %d was told %d, want %d", id, until, want)
		}
		m.cut = append(m.cut, id)
	}}
	m.next++
	rate := rapid.SampledFrom(rates).Draw(m.T, "rate")
	token := rapid.SampledFrom([]string{"a", "b"}).Draw(m.T, "token")
	r.run = run{spender: r, rate: rate, unit: rate.unit(), least: max(ledger.Cost(time.Microsecond, rate.GPUs, rate.Price), 1), proven: never}
	want := m.spec.join(r.id, token, rate, m.at)
	if err := m.meter.join(&r.run, token, m.now()); (err == nil) != want {
		m.Fatalf("at %d: got %v, want admitted: %t\n%s", m.at, err, want, m.spec)
	}
	if want {
		m.runs[r.id] = r
	}
}

func (m *metered) any() *meteredRun {
	ids := []int{}
	for id := range m.runs {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		m.Skip("nothing runs")
	}
	slices.Sort(ids)
	return m.runs[rapid.SampledFrom(ids).Draw(m.T, "run")]
}

func (m *metered) pay() {
	r := m.any()
	if r.state == runJoined {
		m.spec.pay(r.id, m.at, m.at)
		m.meter.pay(&r.run, m.now(), m.now(), m.now())
	}
}

func (m *metered) bill() {
	r := m.any()
	from := m.at
	if r.paying {
		from = r.from
	} else if r.state == runJoined {
		m.spec.pay(r.id, m.at, m.at)
	}
	until := rapid.Int64Range(max(from, m.at-5000), m.at).Draw(m.T, "until")
	if r.state == runCut && !r.paying {
		from = r.until
	}
	want := m.spec.bill(r.id, until)
	dispatched := dayTime(r.day)
	if !r.paying {
		dispatched = m.now()
	}
	if got := m.all.since(m.meter.bill(&r.run, dispatched, m.all.moment(from), m.all.moment(until))); got != want {
		m.Fatalf("at %d: run %d is billed to %d, want %d of %d\n%s", m.at, r.id, got, want, until, m.spec)
	}
	delete(m.runs, r.id)
}

func (m *metered) unbill() {
	r := m.any()
	m.spec.unbill(r.id)
	m.meter.unbill(&r.run)
	delete(m.runs, r.id)
}

func (m *metered) expire() {
	m.meter.lock()
	m.meter.expire(m.at)
	m.meter.mu.Unlock()
	m.wantCut(m.spec.expire(m.at))
}

func (m *metered) set() {
	token := rapid.SampledFrom([]string{"", "", "a"}).Draw(m.T, "whose")
	b := Budget{
		Limit: fleet.NanoUSD(rapid.Int64Range(0, 400).Draw(m.T, "limit")), Soft: rapid.IntRange(0, 9).Draw(m.T, "soft") == 0,
		Period: rapid.SampledFrom([]string{"daily", "monthly"}).Draw(m.T, "period"),
	}
	b.Window = days[b.Period]
	if rapid.IntRange(0, 2).Draw(m.T, "raise") == 0 {
		b.Raise = Raise{Limit: b.Limit + fleet.NanoUSD(rapid.Int64Range(1, 400).Draw(m.T, "more")), Until: m.now().Add(time.Duration(rapid.Int64Range(1, 40_000).Draw(m.T, "for")))}
	}
	old, now := m.spec.budgets[token].Budget, m.now()
	raised := old.Raise.Limit > 0 && now.Before(old.Raise.Until)
	narrower := old.Limit == 0 || old.Period != b.Period || old.Soft && !b.Soft || b.Limit < old.Limit ||
		raised && (b.Raise.Limit < old.Raise.Limit || b.Raise.Until.Before(old.Raise.Until))
	if !old.same(&b) {
		m.meter.set(token, b, now)
		m.wantCut(m.spec.set(token, b, narrower, m.at))
	}
}

func (m *metered) wantCut(want []int) {
	slices.Sort(m.cut)
	if !slices.Equal(m.cut, want) {
		m.Fatalf("at %d: got %v cut, want %v\n%s", m.at, m.cut, want, m.spec)
	}
	m.cut = nil
}

// TestMeter_DoesWhatItsSpecSays lets requests of two tokens join, be paid for, end in any order, and budgets change meanwhile.
func TestMeter_DoesWhatItsSpecSays(t *testing.T) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // rapid replays failures that it saved without saying so
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := newMetered(t)
		act := func(f func()) func(*rapid.T) {
			return func(*rapid.T) {
				m.pass()
				f()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": act(m.join), "join again": act(m.join), "pay": act(m.pay), "bill": act(m.bill), "unbill": act(m.unbill),
			"expire": act(m.expire), "set": act(m.set),
		})
	})
}
