//go:build linux

package chaos_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// latencies are what requests took, in order.
type latencies struct {
	took   []time.Duration // of those that were answered whole
	failed int
}

func latenciesOf(outcomes []*outcome) (l latencies) {
	for _, o := range outcomes {
		if o.whole {
			l.took = append(l.took, o.ended.Sub(o.asked))
		} else {
			l.failed++
		}
	}
	slices.Sort(l.took)
	return l
}

// at gives a quantile.
func (l latencies) at(q float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[min(int(q*float64(len(l.took))), len(l.took)-1)]
}

// above counts those that took longer.
func (l latencies) above(most time.Duration) int {
	at, _ := slices.BinarySearch(l.took, most+1)
	return len(l.took) - at
}

func (l latencies) String() string {
	return fmt.Sprintf("%d hot requests, %d failed, p50 %v, p99 %v, p99.9 %v, slowest %v", len(l.took)+l.failed, l.failed,
		l.at(0.5).Round(time.Millisecond), l.at(0.99).Round(time.Millisecond), l.at(0.999).Round(time.Millisecond), l.at(1).Round(time.Millisecond))
}

func (l latencies) MarshalJSON() ([]byte, error) {
	ms := func(q float64) float64 { return float64(l.at(q).Microseconds()) / 1000 }
	return json.Marshal(map[string]any{"requests": len(l.took) + l.failed, "failed": l.failed, "p50_ms": ms(0.5), "p99_ms": ms(0.99), "p999_ms": ms(0.999), "slowest_ms": ms(1)})
}

// kindResult is what faults of one kind have done.
type kindResult struct {
	Times     int       `json:"times"`
	Slowest   float64   `json:"slowest_recovery_s"`
	FailOvers []float64 `json:"fail_overs_s,omitempty"` // until another server led
}

// settles is how long after a fault began a fail-over is looked at, at least.
const settles = 10 * time.Second

// keep notes a fault that is over. alone: nothing else was broken meanwhile.
func (r *run) keep(f fault, began, ended time.Time, took time.Duration, alone bool) {
	k := r.kinds[f.kind]
	if k == nil {
		k = &kindResult{}
		r.kinds[f.kind] = k
	}
	k.Times++
	k.Slowest = max(k.Slowest, float64(took.Round(100*time.Millisecond).Milliseconds())/1000)
	if !f.failOver || len(r.site.lights) < 2 || !alone {
		return
	}
	if led := r.site.ledSince(began); !led.IsZero() {
		after := led.Sub(began)
		r.logf("a server led after %.2f s", after.Seconds())
		k.FailOvers = append(k.FailOvers, float64(after.Milliseconds())/1000)
	}
	until := began.Add(settles)
	if ended.After(until) {
		until = ended
	}
	hot := slices.DeleteFunc(r.load.hot(began, until), func(o *outcome) bool { return o.light.hit(began, until) })
	over := latenciesOf(hot)
	r.logf("by the other servers meanwhile: %v", over)
	for _, o := range hot {
		if !o.whole {
			r.t.Errorf("%s, hot, failed at %s while another server was hit: status %d, %s, %v", o.id, o.light.name, o.status, o.code, o.err)
		}
	}
	r.over.took, r.over.failed = append(r.over.took, over.took...), r.over.failed+over.failed
	slices.Sort(r.over.took)
}

// tell says what has come of the run, and writes it into the file that PILOTLIGHT_CHAOS_RESULT names.
func (r *run) tell(records int) {
	r.t.Helper()
	ends := map[string]int{}
	for _, o := range r.load.outcomes {
		switch {
		case o.whole:
			ends["answered"]++
		case o.passedOn:
			ends["refused with 503, and another server asked"]++
		case o.left:
			ends["left by the client"]++
		case o.code != "":
			ends[o.code]++
		default:
			ends["lost with the server that was ended"]++
		}
	}
	result := map[string]any{
		"scenario": "a whole installation broken under load", "date": time.Now().UTC().Format(time.DateOnly), "machine": fmt.Sprint(runtime.NumCPU(), " CPUs"),
		"go": runtime.Version(), "seed": r.plan.seed, "controls": r.plan.size.Controls, "nodes": r.plan.size.Nodes, "servers": r.plan.size.Servers,
		"seconds": int(time.Since(r.began).Seconds()), "faults": r.number, "kinds": r.kinds, "processes_that_ended_by_themselves": r.died,
		"requests": len(r.load.outcomes), "ends": ends, "connections_refused": r.load.refused, "records": records, "wrong": len(r.load.wrong),
		"hot_calm": r.calm, "hot_during_fail_overs": r.over, "hot_slower_than_calm_p999": r.over.above(r.calm.at(0.999)), "failed": r.t.Failed(),
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		r.t.Fatal(err)
	}
	r.logf("%s", text)
	if path := os.Getenv("PILOTLIGHT_CHAOS_RESULT"); path != "" {
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			r.t.Error(err)
		}
	}
}
