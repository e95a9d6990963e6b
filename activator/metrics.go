package activator

import (
	"fmt"
	"io"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instruments are the activator's metrics. Distributions are histograms with fixed buckets; levels are read from the planner
// when somebody asks.
type instruments struct {
	set   *metrics.Set
	queue map[string]*metrics.PrometheusHistogram // model ID -> seconds waited
}

// secondsBuckets reach from a hot grant to a start of half an hour.
var secondsBuckets = []float64{0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 90, 120, 180, 300, 600, 1200, 1800}

func (in *instruments) init(a *Activator) {
	in.set = metrics.NewSet()
	in.queue = make(map[string]*metrics.PrometheusHistogram)
	for _, m := range a.cfg.Models {
		for _, from := range []fleet.Tier{fleet.Cold, fleet.Parked} {
			in.activations(m.ID, from) // from the start, so that a rate sees the first one too
		}
		in.queue[m.ID] = in.set.NewPrometheusHistogramExt(fmt.Sprintf("pilotlight_queue_seconds{model=%q}", m.ID), secondsBuckets)
	}
	in.set.RegisterMetricsWriter(a.writeLevels)
	in.set.RegisterMetricsWriter(a.writeSources)
}

// queued counts one grant and what it waited.
func (in *instruments) queued(model string, waited time.Duration) {
	if h := in.queue[model]; h != nil {
		h.Update(waited.Seconds())
	}
}

// activated counts an activation that came to its end; failed ones are not timed.
func (in *instruments) activated(act *fleet.Activation) {
	if act.Failure != "" {
		return
	}
	in.activations(act.Model, act.From).Update(act.Ended.Sub(act.Began).Seconds())
}

func (in *instruments) activations(model string, from fleet.Tier) *metrics.PrometheusHistogram {
	name := fmt.Sprintf("pilotlight_activation_seconds{model=%q,from=%q}", model, from)
	return in.set.GetOrCreatePrometheusHistogramExt(name, secondsBuckets)
}

// levels is what the gauges show.
type levels struct {
	models   []modelLevel
	pools    []poolLevel
	breakers []breakerLevel
}

type breakerLevel struct {
	instance string
	state    dispatch.BreakerState
}

type modelLevel struct {
	id      string
	waiting int
	states  map[fleet.State]int
}

type poolLevel struct {
	name string
	gpus map[string]int
	held float64
}

var instanceStates = []fleet.State{
	fleet.Starting, fleet.Ready, fleet.Draining, fleet.Parking, fleet.Asleep, fleet.Resuming, fleet.Stopping, fleet.Failed,
}

var gpuStates = []string{"free", "starting", "busy", "idle", "stopping"}

// writeLevels writes the gauges; series of models and pools are always there, those of an instance go with it.
func (a *Activator) writeLevels(w io.Writer) {
	l := a.readLevels()
	for _, m := range l.models {
		metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_queue_depth{model=%q}", m.id), uint64(m.waiting))
	}
	for _, m := range l.models {
		for _, s := range instanceStates {
			metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_instances{model=%q,state=%q}", m.id, s), uint64(m.states[s]))
		}
	}
	for _, p := range l.pools {
		for _, s := range gpuStates {
			metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_gpus{pool=%q,state=%q}", p.name, s), uint64(p.gpus[s]))
		}
	}
	for _, p := range l.pools {
		metrics.WriteCounterFloat64(w, fmt.Sprintf("pilotlight_held_gpu_seconds_total{pool=%q}", p.name), p.held)
	}
	for _, b := range l.breakers {
		metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_breaker_state{instance=%q}", b.instance), uint64(b.state))
	}
}

func (a *Activator) readLevels() levels {
	a.planning.Lock()
	a.exchange()
	l := a.planner.levels(a.now())
	tripped := a.trippedBreakers()
	for _, i := range a.planner.instances {
		if b := tripped[i.ID]; b != dispatch.BreakerClosed || i.State == fleet.Ready || i.State == fleet.Draining {
			l.breakers = append(l.breakers, breakerLevel{i.ID, b})
		}
	}
	a.finishPlanning()
	return l
}

func (p *Planner) levels(now time.Duration) levels {
	p.accrue(now)
	var l levels
	for _, m := range p.models {
		ml := modelLevel{id: m.ID, waiting: m.waiting, states: make(map[fleet.State]int)}
		for _, i := range m.instances {
			if i.launched {
				ml.states[i.State]++
			}
		}
		l.models = append(l.models, ml)
	}
	for _, q := range p.pools {
		pl := poolLevel{name: q.Name, gpus: make(map[string]int), held: q.held}
		for _, s := range p.slots {
			if s.Pool == q.Name {
				p.countGPUs(s, pl.gpus)
			}
		}
		if q.Name == dedicatedPool {
			p.countNodes(pl.gpus)
		}
		l.pools = append(l.pools, pl)
	}
	return l
}

func (p *Planner) countGPUs(s *slot, n map[string]int) {
	for _, i := range s.awake[:s.GPUs] {
		switch {
		case i != nil:
			n[p.use(i)]++
		case !s.lost && !s.Pending:
			n["free"]++
		}
	}
}

// countNodes counts the GPUs of nodes that others do not use. What was launched and is not placed yet counts where it is expected.
func (p *Planner) countNodes(n map[string]int) {
	for _, s := range p.nodes {
		free := s.GPUs - s.others
		for _, i := range s.homes {
			n[p.use(i)] += i.GPUs
			free -= i.GPUs
		}
		if !s.lost {
			n["free"] += max(free, 0)
		}
	}
}

// use says what the instance does with its GPUs.
func (p *Planner) use(i *instance) string {
	switch {
	case i.State == fleet.Starting || i.State == fleet.Resuming:
		return "starting"
	case i.State == fleet.Stopping || i.State == fleet.Failed || i.State == fleet.Parking:
		return "stopping"
	case p.hotView(i).Leases > 0:
		return "busy"
	default:
		return "idle"
	}
}
