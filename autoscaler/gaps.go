package autoscaler

import (
	"math"
	"time"
)

const (
	gapBins      = 64
	gapFirst     = 0.5  // seconds: the upper edge of the first bin
	gapRatio     = 1.25 // of each edge to the one before
	gapForget    = 400  // a model's histogram is halved at this weight
	gapForgetAll = 20000
	priorWeight  = 6.0 // gaps that the fleet's own histogram counts for
	contexts     = 4
	paceWeight   = 0.2
	paceAtFirst  = 3.0
)

// paceEdges part the contexts: bands of the smoothed logarithm of the last gaps, so that bursts and lulls of one model have histograms of
// their own.
var paceEdges = [contexts - 1]float64{1.4, 2.6, 4.0}

// gapEdges are the upper edges of the bins, in seconds.
var gapEdges = func() (e [gapBins]float64) {
	for i := range e {
		e[i] = gapFirst * math.Pow(gapRatio, float64(i))
	}
	return e
}()

func gapBin(seconds float64) int {
	if seconds <= gapFirst {
		return 0
	}
	return min(gapBins-1, int(math.Log(seconds/gapFirst)/math.Log(gapRatio))+1)
}

// histogram is a decayed distribution of idle gaps.
type histogram struct {
	Bins  [gapBins]float64
	Total float64
}

func (h *histogram) add(bin int, forgetAt float64) {
	if h.Total > forgetAt {
		for i := range h.Bins {
			h.Bins[i] /= 2
		}
		h.Total /= 2
	}
	h.Bins[bin]++
	h.Total++
}

// gaps is what is known of one model's idle gaps, by context.
type gaps struct {
	ByPace [contexts]histogram
	Pace   float64 // smoothed logarithm of the last gaps
}

func newGaps() gaps { return gaps{Pace: paceAtFirst} }

// context gives the band in which the pace lies.
func (g *gaps) context() int {
	c := 0
	for _, edge := range paceEdges {
		if g.Pace >= edge {
			c++
		}
	}
	return c
}

// add learns one gap, for the model and for the whole fleet.
func (g *gaps) add(gap time.Duration, fleet *[contexts]histogram) {
	s := max(gap.Seconds(), 0)
	c, bin := g.context(), gapBin(s)
	g.ByPace[c].add(bin, gapForget)
	fleet[c].add(bin, gapForgetAll)
	g.Pace += paceWeight * (math.Log(s+0.1) - g.Pace)
}

// seen gives how many gaps of the model are remembered.
func (g *gaps) seen() float64 {
	sum := 0.0
	for i := range g.ByPace {
		sum += g.ByPace[i].Total
	}
	return sum
}

func (g *gaps) seenAtThisPace() float64 { return g.ByPace[g.context()].Total }

// expect gives the distribution of the present gap: the model's own gaps at this pace, and the fleet's as a prior.
func (g *gaps) expect(fleet *[contexts]histogram) (p [gapBins]float64) {
	c := g.context()
	own, all := &g.ByPace[c], &fleet[c]
	for i := range p {
		p[i] = (own.Bins[i] + priorWeight*(all.Bins[i]+fleetSeed)/(all.Total+fleetSeed*gapBins)) / (own.Total + priorWeight)
	}
	return p
}

const fleetSeed = 1e-3 // weight of every bin of the fleet's histogram before anything is known

// switchCosts are what keeping and letting go cost.
type switchCosts struct {
	idle   float64 // what a second of idle GPU time counts, 0 to 1
	gpus   float64
	off    float64 // seconds to let go: park, or stop
	on     float64 // seconds to come back: wake, or start
	lambda float64
	waits  float64 // whole waits that one coming back costs
}

// keepCosts are what is to be expected, in GPU-seconds, of keeping an idle instance for so long: [0] = not at all, and [j] = until gapEdges[j-1].
type keepCosts [gapBins]float64

// expectCosts adds up the expected GPU-seconds of idling and switching and the weighted seconds of waiting, those of requests included that come while the
// instance is being let go.
func expectCosts(p *[gapBins]float64, s switchCosts) (k keepCosts) {
	var below [gapBins + 1]float64 // probability of all bins before
	for i := range p {
		below[i+1] = below[i] + p[i]
	}
	swap := s.gpus*(s.off+s.on) + s.lambda*s.on*s.waits
	caught := s.lambda * s.off / 2 * s.waits
	reach := 0 // the bin in which a gap lies that ends just when the instance has been let go
	late := func(edge float64, next int) float64 {
		for reach < gapBins-1 && gapEdges[reach] < edge+s.off {
			reach++
		}
		return below[reach+1] - below[next]
	}
	k[0] = swap + late(0, 0)*caught
	idle, before, second := 0.0, 0.0, s.idle*s.gpus
	for j := range gapBins - 1 {
		edge := gapEdges[j]
		idle += p[j] * (before + edge) / 2 * second
		before = edge
		k[j+1] = idle + max(0, 1-below[j+1])*(edge*second+swap) + late(edge, j+1)*caught
	}
	return k
}

// keptSeconds gives the time that the entry stands for.
func keptSeconds(entry int) float64 {
	if entry == 0 {
		return 0
	}
	return gapEdges[entry-1]
}

// cheapest gives how many seconds cost least, and what.
func (k *keepCosts) cheapest() (kept, cost float64) {
	best := 0
	for i := range k {
		if k[i] < k[best] {
			best = i
		}
	}
	return keptSeconds(best), k[best]
}

// longest gives the most seconds, up to some, that cost at most so much.
func (k *keepCosts) longest(upTo, cost float64) float64 {
	kept := 0.0
	for i := range k {
		switch {
		case k[i] > cost:
		case keptSeconds(i) > upTo:
			return upTo
		default:
			kept = keptSeconds(i)
		}
	}
	return kept
}
