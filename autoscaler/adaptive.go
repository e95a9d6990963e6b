package autoscaler

import (
	"math"
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	defaultLatencyWeight = 10.0
	longGap              = 300 * time.Second // a gap from which on a cold start could have been the answer
	parkedAging          = 300.0             // seconds
	contention           = 3.0               // times its own worth: what a GPU costs that others may be waiting for
	strandedShare        = 0.1               // of those who come meanwhile: most find another instance, or room for one
	drainAndReturn       = 30 * time.Second  // about what it takes to drain an instance, and to serve others in its place
)

// AdaptiveConfig tunes the adaptive policy.
type AdaptiveConfig struct {
	LatencyWeight float64 // GPU-hours that an hour of waiting is worth; 0 = 10
	// BoundMayCost is how much of the least cost that is expected the ski-rental bound (see idle.go) may add once a model's gaps are known: 0.02 keeps it as
	// far as it costs 2 % of that. 0 = it holds in full, whatever it costs.
	BoundMayCost float64
}

// Adaptive is Pilotlight's own policy. It weighs GPU time against waiting, per model and from the model's own arrivals:
//
//   - an idle instance stays hot until idle_after where its slot is held anyway and idle_cost is 0, and else for the time that minimises what is to be expected
//     of idling, switching and waiting, from a histogram of the model's idle gaps at its present pace, with the whole fleet's as a prior (idle.go has all rules);
//   - then it is parked where its pool can, and woken just before its next call if it is called in a rhythm, or behind another model that it follows; parked engines stay by what a cold start in their place would cost, for their memory;
//   - a busy model gets as many instances as Knative's rule asks for, all at once.
//
// What it learns is bounded per model, and Save and Load carry it over a restart.
type Adaptive struct {
	lambda float64
	bound  float64               // BoundMayCost
	fleet  [contexts]histogram   // idle gaps of all models
	models map[string]*knowledge // model ID -> what is known of it
	began  time.Time             // the first event of this life; zero before
	lately []rise                // the last ones, oldest first
}

// knowledge is what is known of one model.
type knowledge struct {
	Gaps      gaps
	Wakes     waitCost
	Colds     waitCost
	Moves     moves
	Seen      [4]bool // a cold start, a wake, a park, a first park
	Rhythm    rhythm
	Leaders   []leader
	followers []string // models that have it as a leader
	wasParked bool     // it was parked since its last request
	rate      rate
	scale     scale
	busy      bool
	idle      time.Time // since then; zero before the first request
	last      time.Time // its last request
}

// NewAdaptive makes the policy.
func NewAdaptive(cfg AdaptiveConfig) *Adaptive {
	if cfg.LatencyWeight == 0 {
		cfg.LatencyWeight = defaultLatencyWeight
	}
	return &Adaptive{lambda: cfg.LatencyWeight, bound: cfg.BoundMayCost, models: make(map[string]*knowledge)}
}

func (a *Adaptive) model(id string) *knowledge {
	m := a.models[id]
	if m == nil {
		m = &knowledge{Gaps: newGaps()}
		a.models[id] = m
	}
	return m
}

// Observe learns.
func (a *Adaptive) Observe(e fleet.Event) {
	if a.began.IsZero() {
		a.began = e.At
	}
	m := a.model(e.Model)
	switch e.Kind {
	case fleet.EventArrived:
		a.arrive(e.At, e.Model, m, e.N)
	case fleet.EventBusy:
		m.busy = true
	case fleet.EventIdle:
		m.busy, m.idle = false, e.At
	case fleet.EventDemand:
		m.scale.tell(e.At, e.N)
	case fleet.EventReady:
		m.learnStart(e.From, e.Took)
	case fleet.EventParked:
		m.wasParked = m.wasParked || !m.busy
		m.learnPark(e.First, e.Took)
	}
}

// arrive takes requests; the first after idleness ends a gap.
func (a *Adaptive) arrive(now time.Time, id string, m *knowledge, n int) {
	if !m.busy {
		a.endGap(now, id, m)
	}
	m.last = now
	m.rate.add(now, n)
	m.Wakes.arrive(now, n)
	m.Colds.arrive(now, n)
}

func (a *Adaptive) endGap(now time.Time, id string, m *knowledge) {
	if m.wasParked {
		m.wasParked = false
		m.Rhythm.call(now, m.Moves)
		a.follows(now, id, m)
	}
	since := m.idle
	if since.Before(m.last) {
		since = m.last // it came and went between two reports
	}
	gap := now.Sub(since)
	if gap > risesAfter {
		a.rises(now, id, m)
	}
	t := m.Moves
	m.Wakes.open(now, t.Wake, 0.05)
	if (since.IsZero() || gap > longGap) && now.After(m.Colds.ends) {
		m.Colds.open(now, t.Cold, 0.1)
	}
	if !since.IsZero() {
		m.Gaps.add(gap, &a.fleet)
	}
}

func (m *knowledge) learnStart(from fleet.Tier, took time.Duration) {
	if took <= 0 {
		return
	}
	if from == fleet.Parked {
		learn(&m.Moves.Wake, took, !m.Seen[1])
		m.Seen[1] = true
		if !m.Seen[2] {
			m.Moves.Park = m.Moves.Wake
		}
		return
	}
	learn(&m.Moves.Cold, took, !m.Seen[0])
	m.Seen[0] = true
}

func (m *knowledge) learnPark(first bool, took time.Duration) {
	switch {
	case took <= 0:
	case first:
		learn(&m.Moves.FirstPark, took, !m.Seen[3])
		m.Seen[3] = true
	default:
		learn(&m.Moves.Park, took, !m.Seen[2])
		m.Seen[2] = true
	}
}

// takes gives what the model's moves take, as far as they are known.
func (m *knowledge) takes(gpus int) moves {
	t := guess(gpus)
	if m.Seen[0] {
		t.Cold = m.Moves.Cold
	}
	if m.Seen[1] {
		t.Wake, t.Park = m.Moves.Wake, m.Moves.Park
	}
	if m.Seen[2] {
		t.Park = m.Moves.Park
	}
	t.FirstPark = firstParkTimes * t.Park
	if m.Seen[3] {
		t.FirstPark = m.Moves.FirstPark
	}
	return t
}

// Decide says how many instances the model should have now.
func (a *Adaptive) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	m := a.models[v.Model.ID]
	if m == nil {
		m = &knowledge{Gaps: newGaps()}
	}
	t := m.takes(v.Model.GPUs)
	d := fleet.Desired{Model: v.Model.ID, Parked: everyCopy, HotValue: m.hotValue(now, v, t), ParkedValue: a.parkedValue(now, v, m, t)}
	d.Hot = a.needed(now, v, m, &d)
	d.Need = max(atLeast(float64(demand(v)), float64(capacity(v.Model))), 1)
	a.keepIdle(now, v, m, t, &d)
	a.wakeAhead(now, v, m, t, &d)
	a.wakeFollower(now, v, m, t, &d)
	d.Also = a.risen(now, v.Model.ID, m)
	bound(now, v, &d)
	return d
}

// needed gives how many instances the demand is worth. It must be asked again by itself only while the means of more demand than there are
// slots for are still rising.
func (a *Adaptive) needed(now time.Time, v *fleet.ModelView, m *knowledge, d *fleet.Desired) int {
	n := demand(v)
	if n == 0 {
		d.Reason = nobodyAsks(v)
		return 0
	}
	each := scaleTarget * float64(capacity(v.Model))
	if float64(n) > each*float64(len(v.Hot)+v.Pending) {
		d.ReviewAt = nextCell(now)
	}
	d.Reason = requests(n) + " in flight or waiting, " + strconv.Itoa(capacity(v.Model)) + " slots an instance"
	return max(m.scale.want(now, each), 1)
}

// weight gives what an hour of waiting is worth to the model, in GPU-hours: its pool may have been tuned.
func (a *Adaptive) weight(v *fleet.ModelView) float64 {
	if v.LatencyWeight > 0 {
		return v.LatencyWeight
	}
	return a.lambda
}

// hotValue gives what losing one instance would cost, in seconds of one request's waiting. An idle one is worth the less the longer it has been idle. A busy one that
// has to go leaves those who wait, and some of those who come meanwhile, without it until it has drained, another has had its turn, and it is back.
func (m *knowledge) hotValue(now time.Time, v *fleet.ModelView, t moves) float64 {
	if _, idle := lastIdle(v); idle || demand(v) == 0 {
		return leastRecentlyUsed(now, v)
	}
	outage := (drainAndReturn + t.Park + t.Wake).Seconds()
	return (float64(v.Waiting) + strandedShare*m.rate.value(now)*outage/2) * outage / float64(max(len(v.Hot), 1))
}

// parkedValue gives what a model's only parked engine is worth per GB of host memory: what a cold start would cost in its place, the less the longer ago
// the model was used. While it starts, nobody else can use its GPUs, and they are many where it is a large one.
func (a *Adaptive) parkedValue(now time.Time, v *fleet.ModelView, m *knowledge, t moves) float64 {
	saved := (t.Cold - t.Wake).Seconds() * (m.Colds.value() + contention*float64(v.Model.GPUs)/max(a.weight(v), 1e-3))
	gigabytes := math.Max(float64(v.Model.ParkedMemory)/1e9, 1)
	return saved / gigabytes / (age(now, v).Seconds() + parkedAging)
}
