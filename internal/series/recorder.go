package series

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	fineStep     = 2 * time.Second
	finePoints   = 1800 // an hour
	coarseTicks  = 30   // of the fine step in one of the coarse
	coarsePoints = 1440 // a day
	modelsMost   = 128  // that are kept; of more, those that were in use last
)

// The first columns of every subject. Further ones are its levels.
const (
	colRequests = iota
	colFailed
	colP50
	colP99
	counted
)

var (
	modelLevels = []string{"waiting", "hot", "starting", "parked"}
	fleetLevels = []string{"waiting", "gpus_busy", "gpus_idle", "gpus_starting", "gpus_stopping", "gpus_free"}
	alwaysNames = []string{"requests", "failed", "ttft_p50", "ttft_p99"}
)

// Sample is what there is at one moment. What is counted is counted since some moment that stays the same.
type Sample struct {
	Models []Model
	GPUs   GPUs // of all pools
}

// Model is one model in a sample.
type Model struct {
	ID                             string
	Answered, Failed               uint64   // requests; Failed are those with a status of 500 and above
	TTFT                           []uint64 // first tokens by bucket, one more than there are bounds
	Waiting, Hot, Starting, Parked int
}

// GPUs counts GPUs by what they are used for.
type GPUs struct{ Busy, Idle, Starting, Stopping, Free int }

// Config is what New needs. All is required.
type Config struct {
	Sample func() Sample // is called every two seconds
	Bounds []float64     // of the buckets of first tokens, in seconds, rising
}

// Recorder keeps the series. It is safe for concurrent use.
type Recorder struct {
	c Config

	mu     sync.Mutex // guards what follows
	began  time.Time  // tick 0
	ticks  uint64
	fleet  *subject
	models map[string]*subject
	bought []uint64 // is used again
	full   uint64   // tick + 1 in which no room could be made
}

// New checks the config. It starts nothing.
func New(c Config) (*Recorder, error) {
	if c.Sample == nil || len(c.Bounds) == 0 {
		return nil, errors.New("series: Sample and Bounds are required")
	}
	buckets := len(c.Bounds) + 1
	return &Recorder{
		c: c, models: map[string]*subject{}, bought: make([]uint64, buckets), fleet: newSubject(counted+len(fleetLevels), buckets, 0, 0),
	}, nil
}

// Run takes samples until ctx is done, and then returns nil.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(fineStep)
	defer tick.Stop()
	r.mu.Lock()
	r.began = time.Now().UTC().Truncate(time.Second)
	r.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.add(r.c.Sample(), time.Now())
		}
	}
}

// add keeps one sample. Ticks that were missed, because the machine slept or was busy, are passed over.
func (r *Recorder) add(s Sample, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := Model{TTFT: make([]uint64, len(r.bought))}
	for i := range s.Models {
		m := &s.Models[i]
		all.Answered += m.Answered
		all.Failed += m.Failed
		all.Waiting += m.Waiting
		for k, n := range m.TTFT {
			all.TTFT[k] += n
		}
		if of := r.subjectOf(m); of != nil {
			of.add(m, []float32{float32(m.Waiting), float32(m.Hot), float32(m.Starting), float32(m.Parked)}, r.c.Bounds, r.bought)
		}
	}
	g := s.GPUs
	r.fleet.add(&all, []float32{float32(all.Waiting), float32(g.Busy), float32(g.Idle), float32(g.Starting), float32(g.Stopping), float32(g.Free)}, r.c.Bounds, r.bought)
	r.evenOut(s)
	r.ticks++
	if r.ticks%coarseTicks == 0 {
		r.fleet.close(r.c.Bounds)
		for _, of := range r.models {
			of.close(r.c.Bounds)
		}
	}
	if expected := r.began.Add(time.Duration(r.ticks) * fineStep); now.Sub(expected) > fineStep {
		r.began = r.began.Add(now.Sub(expected).Truncate(time.Second))
	}
}

// evenOut drops models that are no longer there: their series would lack ticks.
func (r *Recorder) evenOut(s Sample) {
	for id, of := range r.models {
		if of.fine.next != r.ticks+1 {
			delete(r.models, id)
		}
	}
}

// subjectOf finds the model's series, or begins them where it is in use; nil = it is not kept.
func (r *Recorder) subjectOf(m *Model) *subject {
	of := r.models[m.ID]
	inUse := m.Waiting+m.Hot+m.Starting > 0 || of != nil && of.known && m.Answered != of.last.Answered
	if of == nil {
		if !inUse || len(r.models) >= modelsMost && !r.dropIdlest() {
			return nil
		}
		of = newSubject(counted+len(modelLevels), len(r.bought), r.ticks, r.ticks/coarseTicks)
		r.models[m.ID] = of
	}
	if inUse {
		of.active = r.ticks
	}
	return of
}

// dropIdlest makes room for another model; false = all are in use.
func (r *Recorder) dropIdlest() bool {
	if r.full == r.ticks+1 {
		return false
	}
	idlest := ""
	for id, of := range r.models {
		if of.active+1 < r.ticks && (idlest == "" || of.active < r.models[idlest].active) {
			idlest = id
		}
	}
	if idlest == "" {
		r.full = r.ticks + 1
		return false
	}
	delete(r.models, idlest)
	return true
}
