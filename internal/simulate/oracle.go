package simulate

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// oracle knows when each model is asked next: it parks at once where that is further away than a park and a wake, wakes just in time, and makes
// room where the next use is farthest. It is a mark to measure by, not a proof: about replicas, and under contention, it only guesses.
type oracle struct {
	lambda float64
	models map[string]*foresight
}

// foresight holds a model's arrivals that are still to come: four bytes each, and the only thing that grows with a trace.
type foresight struct {
	profile  *trace.Profile
	arrivals []uint32 // milliseconds
}

const (
	worthKeeping = 1.2                    // times park and wake: a gap up to here is kept hot through
	wakeLead     = 300 * time.Millisecond // and 1.2 times the wake before the next request
	spareKept    = 30 * time.Second
	oracleBid    = 10.0 // what a wake ahead may cost others, as their loss
)

func newOracle(cfg *Config) (*oracle, error) {
	o := &oracle{lambda: max(cfg.Lambda, 1e-3), models: make(map[string]*foresight)}
	if cfg.Trace == "" {
		return o, nil
	}
	byIndex := make([]*foresight, len(cfg.Profiles))
	for i := range cfg.Profiles {
		byIndex[i] = &foresight{profile: &cfg.Profiles[i]}
		o.models[cfg.Profiles[i].Model] = byIndex[i]
	}
	r, err := trace.Open(cfg.Trace, cfg.Profiles)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var q trace.Request
	for {
		err := r.Read(&q)
		if errors.Is(err, io.EOF) {
			return o, nil
		}
		if err != nil {
			return nil, fmt.Errorf("looking ahead: %w", err)
		}
		f := byIndex[q.Model]
		f.arrivals = append(f.arrivals, uint32(q.At.Milliseconds()))
	}
}

// next gives the time until the model's next request.
func (f *foresight) next(now time.Time) time.Duration {
	t := now.Sub(usualEpoch)
	for len(f.arrivals) > 0 && time.Duration(f.arrivals[0])*time.Millisecond <= t {
		f.arrivals = f.arrivals[1:]
	}
	if len(f.arrivals) == 0 {
		return unbounded
	}
	return time.Duration(f.arrivals[0])*time.Millisecond - t
}

// Observe learns nothing: the oracle knows.
func (o *oracle) Observe(fleet.Event) {}

// Decide says how many instances the model should have now.
func (o *oracle) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	f := o.models[v.Model.ID]
	p, next := f.profile, f.next(now)
	least := max(next.Seconds(), 1)
	d := fleet.Desired{
		Model: v.Model.ID, Parked: 1 << 20, HotValue: 1e3 / least / o.lambda,
		ParkedValue: p.Cold.Seconds() / least / (float64(p.ParkedRAM) / 1e9), Reason: "foreseen",
	}
	target := fourFifths(v.Model)
	d.Hot = (v.Waiting + v.Inflight + target - 1) / target
	d.Need = d.Hot
	gapKept := time.Duration(worthKeeping * float64(p.Park+p.Wake))
	if gapKept >= next && len(v.Hot) > 0 {
		d.Hot = max(d.Hot, 1)
		d.ReviewAt = now.Add(next + time.Second)
	}
	if len(v.Hot) > 1 {
		o.keepSpares(now, v, &d)
	}
	if v.Waiting+v.Inflight+len(v.Hot)+v.Pending > 0 {
		return d
	}
	ahead := next - time.Duration(worthKeeping*float64(p.Wake)) - wakeLead
	switch {
	case next == unbounded:
	case ahead > 0:
		d.ReviewAt = now.Add(ahead)
	case v.Parked > 0 && next > 200*time.Millisecond:
		d.Hot, d.HotValue = 1, oracleBid/o.lambda
		d.ReviewAt = now.Add(min(next, time.Second))
	}
	return d
}

// keepSpares keeps further copies for a while.
func (o *oracle) keepSpares(now time.Time, v *fleet.ModelView, d *fleet.Desired) {
	kept := 0
	for i := range v.Hot {
		since := v.Hot[i].IdleSince
		if since.IsZero() {
			kept++
		} else if until := since.Add(spareKept); now.Before(until) {
			kept++
			if d.ReviewAt.IsZero() || until.Before(d.ReviewAt) {
				d.ReviewAt = until
			}
		}
	}
	d.Hot = max(d.Hot, kept)
}
