package simulate

import "time"

// Result is what a run came to. Costs are in GPU-hours from the end of the warm-up to the last arrival.
type Result struct {
	Policy     string  `json:"policy"`
	Seed       uint64  `json:"seed"`
	Cost       float64 `json:"cost"` // idle + switch + lambda x wait hours
	Held       float64 `json:"held_gpu_hours"`
	Busy       float64 `json:"busy_gpu_hours"`
	Idle       float64 `json:"idle_gpu_hours"`
	Switch     float64 `json:"switch_gpu_hours"` // starting, waking, parking and stopping
	WaitHours  float64 `json:"wait_hours"`
	WaitMean   float64 `json:"wait_mean_s"`
	WaitP50    float64 `json:"wait_p50_s"`
	WaitP99    float64 `json:"wait_p99_s"`
	WaitP999   float64 `json:"wait_p999_s"`
	Resumes    int     `json:"resumes"`
	ColdStarts int     `json:"cold_starts"`

	Requests int           `json:"requests"`          // that were served, or waited
	Refused  int           `json:"refused,omitempty"` // because no slot can ever hold their models
	SlotHeld float64       `json:"slot_gpu_hours"`    // of all slots, for as long as each was there
	Slots    int           `json:"slots_added,omitempty"`
	Over1    float64       `json:"wait_over_1s"`         // share of the requests that waited longer than a second
	Over10   float64       `json:"wait_over_10s"`        // and than ten
	Models1  float64       `json:"models_wait_over_1s"`  // the same, as the mean over models, so that the sparse ones count
	Models10 float64       `json:"models_wait_over_10s"` // and than ten
	Drops    int           `json:"parked_dropped"`       // parked engines stopped for their memory, warm-up included
	ByGPUs   []SizeResult  `json:"by_gpus"`
	ByModel  []ModelResult `json:"by_model"`
	Timeline Timeline      `json:"-"`

	within       bool // at most one in a hundred requests is late
	modelsWithin []bool
}

// SizeResult is what the requests of all models of one size waited.
type SizeResult struct {
	GPUs      int     `json:"gpus"`
	Requests  int     `json:"requests"`
	WaitHours float64 `json:"wait_hours"`
	WaitP50   float64 `json:"wait_p50_s"`
	WaitP99   float64 `json:"wait_p99_s"`
	WaitP999  float64 `json:"wait_p999_s"`
	Over10    float64 `json:"wait_over_10s"`
}

// ModelResult is what the requests of one model waited.
type ModelResult struct {
	Model     string  `json:"model"`
	GPUs      int     `json:"gpus"`
	Requests  int     `json:"requests"`
	WaitHours float64 `json:"wait_hours"`
	WaitP99   float64 `json:"wait_p99_s"`
	Over10    float64 `json:"wait_over_10s"`
}

// Timeline says how many GPUs were held for what, on average over stretches of equal length from the start of the trace.
// Leaving is parking or stopping.
type Timeline struct {
	Stretch                               float64 // seconds
	GPUs                                  int     // of the cluster
	Busy, Idle, Starting, Waking, Leaving []float64
}

// result sums the score up.
func (s *simulation) result() *Result {
	c, hours := &s.score, time.Duration.Hours
	held := c.held
	r := &Result{
		Policy: s.cfg.Policy, Seed: s.cfg.Seed,
		Busy: hours(held[busy]), Idle: hours(held[idle]), Switch: hours(held[starting] + held[waking] + held[leaving]),
		WaitHours: hours(c.all.sum), WaitMean: c.all.mean(), WaitP50: c.all.quantile(0.5), WaitP99: c.all.quantile(0.99), WaitP999: c.all.quantile(0.999),
		Resumes: c.resumes, ColdStarts: c.coldStarts, Requests: c.all.n, Over1: c.all.share(c.all.over1), Over10: c.all.share(c.all.over), Drops: c.drops,
		Refused: c.refused, SlotHeld: hours(c.slotHeld), Slots: c.slotsAdded,
		Timeline: c.timeline.result(s.cfg.Nodes * s.cfg.GPUsPerNode), within: c.all.within(),
	}
	r.Held = r.Busy + r.Idle + r.Switch
	r.Cost = r.Idle + r.Switch + s.cfg.Lambda*r.WaitHours
	for _, gpus := range []int{1, 2, 4, 8} {
		if w := c.byGPUs[gpus]; w != nil {
			r.ByGPUs = append(r.ByGPUs, SizeResult{
				GPUs: gpus, Requests: w.n, WaitHours: hours(w.sum), WaitP50: w.quantile(0.5), WaitP99: w.quantile(0.99), WaitP999: w.quantile(0.999),
				Over10: w.share(w.over),
			})
		}
	}
	for m := range c.byModel {
		w, p := &c.byModel[m], &s.cfg.Profiles[m]
		r.modelsWithin = append(r.modelsWithin, w.within())
		if w.n == 0 {
			continue
		}
		r.ByModel = append(r.ByModel, ModelResult{
			Model: p.Model, GPUs: p.GPUs, Requests: w.n, WaitHours: hours(w.sum), WaitP99: w.quantile(0.99), Over10: w.share(w.over),
		})
		r.Models1 += w.share(w.over1)
		r.Models10 += w.share(w.over)
	}
	if n := float64(len(r.ByModel)); n > 0 {
		r.Models1, r.Models10 = r.Models1/n, r.Models10/n
	}
	return r
}

func (t *timeline) result(gpus int) Timeline {
	mean := func(u use) []float64 {
		all := make([]float64, len(t.held))
		for i := range t.held {
			all[i] = t.held[i][u] / t.width.Seconds()
		}
		return all
	}
	return Timeline{
		Stretch: t.width.Seconds(), GPUs: gpus, Busy: mean(busy), Idle: mean(idle), Starting: mean(starting), Waking: mean(waking), Leaving: mean(leaving),
	}
}
