package account

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics gives the accounts' metrics.
func (a *Accounts) Metrics() *metrics.Set { return a.metrics }

func (a *Accounts) newMetrics() *metrics.Set {
	set, m := metrics.NewSet(), &a.memory
	set.NewGauge(`pilotlight_body_bytes{kind="request"}`, func() float64 { return float64(max(m.used.Load()-m.answers.Load(), 0)) })
	set.NewGauge(`pilotlight_body_bytes{kind="answer"}`, func() float64 { return float64(m.answers.Load()) })
	set.NewGauge("pilotlight_body_budget_bytes", func() float64 { return float64(m.size) })
	m.overShare = set.NewCounter(`pilotlight_bodies_refused_total{reason="share"}`)
	m.full = set.NewCounter(`pilotlight_bodies_refused_total{reason="full"}`)
	m.reclaimed = set.NewCounter(`pilotlight_bodies_refused_total{reason="reclaimed"}`)
	return set
}

func (m *memory) refused(err error) {
	if err == ErrShare {
		m.overShare.Inc()
		return
	}
	m.full.Inc()
}

// gauge shows what is left of an organisation's budget as long as it has one. m.mu is held.
func (a *Accounts) gauge(m *meter, on bool) {
	if on == m.gauging {
		return
	}
	m.gauging = on
	name := fmt.Sprintf("pilotlight_budget_left_usd{org=%q}", m.name)
	if !on {
		a.metrics.UnregisterMetric(name)
		return
	}
	a.metrics.NewGauge(name, func() float64 {
		b, _ := a.Balance(m.name, "")
		return float64(b.Left()) / 1e9
	})
}
