package whatif

import (
	"cmp"
	"context"
	"io"
	"math"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// arrival is one recorded request, in 20 bytes.
type arrival struct {
	at     int64 // microseconds since 1970
	took   uint32
	waited uint32 // microseconds; what an uint32 cannot hold, 71 minutes, is cut
	model  uint32 // index in the models
}

// recording is what was recorded of some models, in order of arrival.
type recording struct {
	arrivals []arrival
	began    time.Time // nothing before is in it
	cut      bool      // there was more before, which is left out
}

// record reads the requests of some models that came since a moment, the latest most of them.
func record(ctx context.Context, from Ledger, models map[string]uint32, since, until time.Time, most int) (*recording, error) {
	r := &recording{began: since}
	least := since.UnixMicro()
	err := from.Arrivals(ctx, since, until, func(a ledger.Arrival) {
		model, known := models[string(a.Model)]
		if at := a.At.UnixMicro(); known && at >= least {
			r.arrivals = append(r.arrivals, arrival{at, micros(a.Took), micros(a.Waited), model})
			if len(r.arrivals) >= 2*most {
				least = r.keepLatest(most)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	r.keepLatest(most)
	return r, nil
}

// keepLatest sorts, and drops all but the latest. It gives the moment of the first that is left.
func (r *recording) keepLatest(most int) (first int64) {
	slices.SortFunc(r.arrivals, func(a, b arrival) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.model, b.model)) })
	if over := len(r.arrivals) - most; over > 0 {
		kept := copy(r.arrivals, r.arrivals[over:])
		r.arrivals, r.cut = r.arrivals[:kept], true
		r.began = time.UnixMicro(r.arrivals[0].at).UTC()
	}
	if len(r.arrivals) == 0 {
		return math.MinInt64
	}
	return r.arrivals[0].at
}

// micros is a span that a request takes at least a microsecond of, so that what was measured differs from what was not.
func micros(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 1), math.MaxUint32))
}

// play gives the recording's requests once more.
func (r *recording) play() *player { return &player{r.began, r.arrivals} }

// player gives requests to a simulation.
type player struct {
	began time.Time
	left  []arrival
}

// Read fills in the next request; io.EOF = there is none.
func (p *player) Read(q *trace.Request) error {
	if len(p.left) == 0 {
		return io.EOF
	}
	a := &p.left[0]
	*q = trace.Request{
		At: max(time.UnixMicro(a.at).Sub(p.began), 0), Model: int(a.model), Took: time.Duration(a.took) * time.Microsecond,
	}
	p.left = p.left[1:]
	return nil
}

// waits gives how many came from a moment on, and what a half and 99 of 100 of them have waited at most.
func (r *recording) waits(since time.Time) (n int, p50, p99 time.Duration) {
	first, _ := slices.BinarySearchFunc(r.arrivals, since.UnixMicro(), func(a arrival, at int64) int { return cmp.Compare(a.at, at) })
	scored := r.arrivals[first:]
	all := make([]uint32, len(scored))
	for i := range scored {
		all[i] = scored[i].waited
	}
	slices.Sort(all)
	return len(all), quantile(all, 50), quantile(all, 99)
}

func quantile(sorted []uint32, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return time.Duration(sorted[min(len(sorted)*percent/100, len(sorted)-1)]) * time.Microsecond
}
