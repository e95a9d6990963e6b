package trace

import (
	"errors"
	"io"
	"time"
)

// Bound is what a trace costs at least, with every arrival known and neither capacity nor memory in the way: nobody waits, and every idle gap of an
// instance costs the shorter of the gap and one park with one wake.
type Bound struct {
	BusyGPUHours float64
	IdleGPUHours float64 // the cost: what is held and not busy
}

// LowerBound reads the rest of a trace and gives its bound from warmup on.
func LowerBound(r *Reader, profiles []Profile, warmup time.Duration) (Bound, error) {
	b := bounding{models: make([][]replica, len(profiles)), warmup: warmup}
	var q Request
	for {
		err := r.Read(&q)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Bound{}, err
		}
		b.serve(&q, &profiles[q.Model])
	}
	b.finish(profiles)
	const hour = float64(time.Hour)
	return Bound{BusyGPUHours: b.busy / hour, IdleGPUHours: b.idle / hour}, nil
}

type bounding struct {
	models     [][]replica // by model
	warmup     time.Duration
	end        time.Duration
	busy, idle float64 // GPU-nanoseconds
}

// replica is one instance as if it were always there.
type replica struct {
	ends   []time.Duration // of what is in flight
	last   time.Duration   // of the latest of those that have ended
	start  time.Duration   // of this busy stretch
	served bool
}

// settle takes out what has ended.
func (r *replica) settle(now time.Duration) {
	kept := r.ends[:0]
	for _, e := range r.ends {
		if e > now {
			kept = append(kept, e)
			continue
		}
		r.last, r.served = max(r.last, e), true
	}
	r.ends = kept
}

func (b *bounding) serve(q *Request, p *Profile) {
	replicas := b.models[q.Model]
	var r *replica
	for i := range replicas {
		replicas[i].settle(q.At)
		if len(replicas[i].ends) < p.MaxConcurrency {
			r = &replicas[i]
			break
		}
	}
	if r == nil {
		replicas = append(replicas, replica{})
		b.models[q.Model] = replicas
		r = &replicas[len(replicas)-1]
	}
	if len(r.ends) == 0 {
		b.begin(q.At, p, r)
	}
	r.ends = append(r.ends, q.At+p.Service(q, len(r.ends)+1))
	b.end = q.At
}

// begin ends the idle gap before a busy stretch.
func (b *bounding) begin(now time.Duration, p *Profile, r *replica) {
	if now > b.warmup {
		gap := p.Wake
		if r.served {
			gap = min(now-r.last, p.Park+p.Wake, now-b.warmup)
		}
		b.idle += float64(gap) * float64(p.GPUs)
	}
	b.stretch(r, p, r.last)
	r.start = now
}

// stretch counts the busy stretch that ended then.
func (b *bounding) stretch(r *replica, p *Profile, end time.Duration) {
	if from := max(r.start, b.warmup); r.served && end > from {
		b.busy += float64(end-from) * float64(p.GPUs)
	}
}

func (b *bounding) finish(profiles []Profile) {
	for m := range b.models {
		for i := range b.models[m] {
			r := &b.models[m][i]
			end := r.last
			for _, e := range r.ends {
				end, r.served = max(end, e), true
			}
			b.stretch(r, &profiles[m], min(end, b.end))
		}
	}
}

// Service gives what serving a request takes on an instance with so many in flight, this one included.
func (p *Profile) Service(q *Request, inflight int) time.Duration {
	if q.Took > 0 {
		return q.Took
	}
	prefill := float64(q.Input) / p.Prefill * float64(time.Second)
	decode := float64(q.Output) * float64(p.TokenTime) * (1 + float64(inflight)/fullBatch)
	return time.Duration(prefill + decode)
}

const fullBatch = 64 // requests in flight at which a token takes twice as long as at batch 1
