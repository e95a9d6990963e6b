package simulate

import (
	"time"
)

// use is what GPUs are held for.
type use int

const (
	nothing use = iota
	starting
	waking
	idle
	busy
	leaving // parking or stopping
	uses
)

// score adds up what a run costs from the end of the warm-up on.
type score struct {
	warmup     time.Duration
	limit      time.Duration       // a request that waits longer is late; 0 = none is
	held       [uses]time.Duration // GPU time
	timeline   timeline
	all        waits
	byGPUs     map[int]*waits // GPUs of the model -> waits
	byModel    []waits        // by model
	coldStarts int
	resumes    int
	refused    int
	slotsAdded int
	slotHeld   time.Duration // GPU time of slots
	drops      int           // parked engines stopped for memory
	closed     bool          // GPU time no longer counts
}

func newScore(cfg *Config) score {
	return score{warmup: cfg.Warmup, limit: cfg.limit, byGPUs: make(map[int]*waits), byModel: make([]waits, len(cfg.Profiles)), timeline: newTimeline()}
}

// hold counts GPUs held from one moment to another.
func (s *score) hold(u use, gpus int, from, to time.Duration) {
	if u == nothing || to <= from || s.closed {
		return
	}
	s.timeline.add(u, gpus, from, to)
	if from = max(from, s.warmup); to > from {
		s.held[u] += time.Duration(gpus) * (to - from)
	}
}

// holdSlot counts the GPUs of a slot that was there from one moment to another.
func (s *score) holdSlot(gpus int, from, to time.Duration) {
	if from = max(from, s.warmup); to > from && !s.closed {
		s.slotHeld += time.Duration(gpus) * (to - from)
	}
}

func (s *score) slotAdded(at time.Duration) {
	if at >= s.warmup && !s.closed {
		s.slotsAdded++
	}
}

// refuse counts a request that arrived then and was refused.
func (s *score) refuse(arrived time.Duration) {
	if arrived >= s.warmup {
		s.refused++
	}
}

// wait counts the wait of a request that arrived then.
func (s *score) wait(model, gpus int, arrived, waited time.Duration) {
	if arrived < s.warmup {
		return
	}
	w := s.byGPUs[gpus]
	if w == nil {
		w = &waits{}
		s.byGPUs[gpus] = w
	}
	for _, w := range [...]*waits{w, &s.byModel[model], &s.all} {
		w.add(waited)
		if s.limit > 0 && waited > s.limit {
			w.late++
		}
	}
}

// timeline says how many GPUs were held for what, in at most timelineMost stretches of equal length.
type timeline struct {
	width time.Duration
	held  [][uses]float64 // GPU-seconds by stretch
}

const timelineMost = 256

func newTimeline() timeline { return timeline{width: time.Minute} }

func (t *timeline) add(u use, gpus int, from, to time.Duration) {
	for to > t.width*timelineMost {
		t.widen()
	}
	for from < to {
		i := int(from / t.width)
		end := min(t.width*time.Duration(i+1), to)
		for len(t.held) <= i {
			t.held = append(t.held, [uses]float64{})
		}
		t.held[i][u] += float64(gpus) * (end - from).Seconds()
		from = end
	}
}

// widen joins each two stretches.
func (t *timeline) widen() {
	t.width *= 2
	joined := t.held[:0]
	for i, h := range t.held {
		if i%2 == 0 {
			joined = append(joined, h)
			continue
		}
		for u := range h {
			joined[i/2][u] += h[u]
		}
	}
	t.held = joined
}
