package ledger

import (
	"fmt"
	"sync"

	"github.com/VictoriaMetrics/metrics"
)

// meters are the ledger's metrics.
type meters struct {
	set *metrics.Set

	mu     sync.RWMutex
	billed map[string]*metrics.FloatCounter // by model
}

func newMeters(l *Ledger, models []string) *meters {
	m := &meters{set: metrics.NewSet(), billed: map[string]*metrics.FloatCounter{}}
	m.set.NewGauge("pilotlight_ledger_wal_records", func() float64 { return float64(l.backlog()) })
	m.set.NewGauge("pilotlight_ledger_damaged_blocks", func() float64 { return float64(l.damages.count()) })
	m.set.NewGauge("pilotlight_ledger_retention_held", func() float64 {
		if l.held.Load() {
			return 1
		}
		return 0
	})
	m.set.NewGauge("pilotlight_ledger_months_to_close", func() float64 { return float64(l.openMonths.Load().overdue) })
	m.set.NewGauge("pilotlight_ledger_retention_waits", func() float64 {
		if l.openMonths.Load().overlong {
			return 1
		}
		return 0
	})
	m.know(models)
	return m
}

// know makes the series of models, so that a rate sees the first record of each.
func (m *meters) know(models []string) {
	for _, model := range models {
		m.counter(model)
	}
}

// Configure says which models there are from now on: their metrics are there at once. Those of others stay.
func (l *Ledger) Configure(models []string) { l.meters.know(models) }

// Metrics gives the ledger's metrics: pilotlight_ledger_wal_records (records not yet in the store) and
// pilotlight_billed_gpu_seconds_total{model} (since this process began).
func (l *Ledger) Metrics() *metrics.Set { return l.meters.set }

// backlog is how many records of this life are in the log and not in the store.
func (l *Ledger) backlog() uint64 {
	moved := l.movedRecords.Load() // first: it never passes what was appended, but both grow
	_, appended := l.wal.extent()
	return appended - moved
}

func (m *meters) count(r *Record) {
	if r.Kind == KindUsage {
		m.counter(r.Model).Add(r.Billed.Seconds() * float64(r.GPUs))
	}
}

func (m *meters) counter(model string) *metrics.FloatCounter {
	m.mu.RLock()
	c := m.billed[model]
	m.mu.RUnlock()
	if c != nil {
		return c
	}
	c = m.set.GetOrCreateFloatCounter(fmt.Sprintf("pilotlight_billed_gpu_seconds_total{model=%q}", model))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.billed[model] = c
	return c
}
