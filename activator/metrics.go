package activator

import (
	"cmp"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instruments are the activator's metrics. Distributions are histograms with fixed buckets; levels are read from the planner
// when somebody asks.
type instruments struct {
	set     *metrics.Set
	queue   sync.Map // model ID -> *metrics.PrometheusHistogram of seconds waited
	avoided sync.Map // place -> true, of those with a counter
}

// secondsBuckets reach from a hot grant to a start of half an hour.
var secondsBuckets = []float64{0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 90, 120, 180, 300, 600, 1200, 1800}

func (in *instruments) init(a *Activator) {
	in.set = metrics.NewSet()
	in.configure(a.cfg.Models)
	in.set.RegisterMetricsWriter(func(w io.Writer) {
		l := readLevels(a)
		writeLevels(w, l)
		in.writePlaces(w, l.Places)
	})
	in.set.RegisterMetricsWriter(func(w io.Writer) { writeSources(w, a.Sources()) })
}

// configure makes the series of models, so that a rate sees the first of each too. Those of others stay. It may be called at any time.
func (in *instruments) configure(models []*fleet.Model) {
	for _, m := range models {
		for _, from := range []fleet.Tier{fleet.Cold, fleet.Parked} {
			in.activations(m.ID, from)
		}
		in.queue.Store(m.ID, in.set.GetOrCreatePrometheusHistogramExt(fmt.Sprintf("pilotlight_queue_seconds{model=%q}", m.ID), secondsBuckets))
	}
}

// queued counts one grant and what it waited.
func (in *instruments) queued(model string, waited time.Duration) {
	if h, ok := in.queue.Load(model); ok {
		h.(*metrics.PrometheusHistogram).Update(waited.Seconds())
	}
}

// activated counts an activation that came to its end; failed ones are not timed.
func (in *instruments) activated(act *fleet.Activation) {
	if act.Failure != "" {
		return
	}
	in.activations(act.Model, act.From).Update(act.Ended.Sub(act.Began).Seconds())
}

// placeFailed counts a failure that was the place's own.
func (in *instruments) placeFailed(place string) {
	in.avoided.Store(place, true)
	in.set.GetOrCreateCounter(fmt.Sprintf("pilotlight_place_failures_total{place=%q}", place)).Inc()
}

// writePlaces shows the places that have never failed, so that an increase sees the first failure. They come and go: those that have not failed leave nothing.
func (in *instruments) writePlaces(w io.Writer, places []string) {
	for _, place := range places {
		if _, failed := in.avoided.Load(place); !failed {
			metrics.WriteCounterUint64(w, fmt.Sprintf("pilotlight_place_failures_total{place=%q}", place), 0)
		}
	}
}

func (in *instruments) activations(model string, from fleet.Tier) *metrics.PrometheusHistogram {
	name := fmt.Sprintf("pilotlight_activation_seconds{model=%q,from=%q}", model, from)
	return in.set.GetOrCreatePrometheusHistogramExt(name, secondsBuckets)
}

// levels is what the gauges show.
type levels struct {
	plan.Levels
	breakers []breakerLevel
}

type breakerLevel struct {
	instance string
	state    dispatch.BreakerState
}

var instanceStates = []fleet.State{
	fleet.Starting, fleet.Ready, fleet.Draining, fleet.Parking, fleet.Asleep, fleet.Resuming, fleet.Stopping, fleet.Failed,
}

// causes are those of failed starts and deaths; "" = not known.
var causes = []fleet.Cause{fleet.CausePlace, fleet.CauseImage, fleet.CauseWeights, fleet.CauseMemory, fleet.CauseRights, fleet.CauseEngine, ""}

var gpuStates = []string{"free", "starting", "busy", "idle", "stopping"}

// writeLevels writes the gauges; series of models and pools are always there, those of an instance go with it.
func writeLevels(w io.Writer, l levels) {
	for _, m := range l.Models {
		metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_queue_depth{model=%q}", m.ID), uint64(m.Waiting))
	}
	for _, m := range l.Models {
		for _, s := range instanceStates {
			metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_instances{model=%q,state=%q}", m.ID, s), uint64(m.States[s]))
		}
	}
	for _, m := range l.Models {
		for _, c := range causes {
			metrics.WriteCounterUint64(w, fmt.Sprintf("pilotlight_failures_total{model=%q,cause=%q}", m.ID, cmp.Or(c, "unknown")), uint64(m.Failed[c]))
		}
	}
	for _, p := range l.Pools {
		for _, s := range gpuStates {
			metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_gpus{pool=%q,state=%q}", p.Name, s), uint64(p.GPUs[s]))
		}
	}
	for _, p := range l.Pools {
		metrics.WriteCounterFloat64(w, fmt.Sprintf("pilotlight_held_gpu_seconds_total{pool=%q}", p.Name), p.Held)
	}
	for _, b := range l.breakers {
		metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_breaker_state{instance=%q}", b.instance), uint64(b.state))
	}
}

// Levels gives what gauges show; nothing, where the planner is another server's. It takes the planner's lock.
func (a *Activator) Levels() (l plan.Levels) {
	a.planning.Lock()
	a.exchange()
	if a.planner != nil {
		l = a.planner.Levels(a.now())
	}
	a.finishPlanning()
	return l
}

func readLevels(a *Activator) (l levels) {
	a.planning.Lock()
	a.exchange()
	if a.planner != nil {
		l.Levels = a.planner.Levels(a.now())
	}
	tripped := a.trippedBreakers()
	for _, id := range l.Serves {
		l.breakers = append(l.breakers, breakerLevel{id, tripped[id].state})
	}
	a.finishPlanning()
	return l
}
