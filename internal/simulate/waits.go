package simulate

import (
	"math"
	"time"
)

// waits is a histogram of waits whose bins are 0.5 % wide, so that a percentile is as good as exact and costs no memory per request.
type waits struct {
	n     int
	sum   time.Duration
	zero  int      // less than a millisecond
	bins  []uint32 // by logarithm
	over1 int      // longer than a second
	over  int      // longer than ten seconds
	late  int      // longer than asked for
}

const (
	shortest = time.Millisecond
	binWidth = 0.005
)

func (w *waits) add(d time.Duration) {
	w.n++
	w.sum += d
	if d > time.Second {
		w.over1++
	}
	if d > 10*time.Second {
		w.over++
	}
	if d < shortest {
		w.zero++
		return
	}
	i := int(math.Log(float64(d)/float64(shortest)) / binWidth)
	for len(w.bins) <= i {
		w.bins = append(w.bins, 0)
	}
	w.bins[i]++
}

// quantile gives the wait that a share of p of the requests did not exceed, in seconds.
func (w *waits) quantile(p float64) float64 {
	rank := min(int(p*float64(w.n)), w.n-1) - w.zero
	if rank < 0 {
		return 0
	}
	for i, n := range w.bins {
		if rank -= int(n); rank < 0 {
			return shortest.Seconds() * math.Exp((float64(i)+0.5)*binWidth)
		}
	}
	return 0
}

func (w *waits) mean() float64 { return w.sum.Seconds() / float64(max(w.n, 1)) }

// within reports whether at most one in a hundred is late.
func (w *waits) within() bool { return w.late*100 <= w.n }

// share gives the part of the requests that count.
func (w *waits) share(count int) float64 { return float64(count) / float64(max(w.n, 1)) }
