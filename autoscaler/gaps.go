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
	gpus   float64
	off    float64 // seconds to let go: park, or stop
	on     float64 // seconds to come back: wake, or start
	lambda float64
	waits  float64 // whole waits that one coming back costs
}

// keepFor gives how many seconds of idleness an instance should stay hot: it minimises the expected GPU-seconds of idling and switching and the weighted
// seconds of waiting, those of requests included that come while it is being let go.
func keepFor(p *[gapBins]float64, s switchCosts) (keep, cost float64) {
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
	best, at := swap+late(0, 0)*caught, 0.0
	idle, before := 0.0, 0.0
	for j := range gapBins - 1 {
		edge := gapEdges[j]
		idle += p[j] * (before + edge) / 2 * s.gpus
		before = edge
		v := idle + max(0, 1-below[j+1])*(edge*s.gpus+swap) + late(edge, j+1)*caught
		if v < best {
			best, at = v, edge
		}
	}
	return at, best
}
