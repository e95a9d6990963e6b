package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// DedicatedName names the answer in which each model has engines of its own that are always hot. It is no policy: there is nothing to decide.
const DedicatedName = "dedicated"

// FleetSize is how many GPUs a policy needs so that of the requests that arrive after the warm-up at most one in a hundred waits longer than stated. What a request
// waits is the time from its arrival until an engine begins with it: for a free place of an engine that is hot, for a wake, for a start, for GPUs that are in use.
//
// A fleet holds the wait if it does so under every seed. The answer is the smallest fleet that holds it and whose next two do as well: a single fleet may be lucky, for
// waits do not fall with each node that is added (Monotone says whether they did among those looked at).
type FleetSize struct {
	Policy   string      `json:"policy"`
	For      float64     `json:"for_p99_s"` // what was asked for
	Met      bool        `json:"met"`       // false = no fleet up to the largest looked at; GPUs and Nodes are then 0
	GPUs     int         `json:"gpus"`
	Nodes    int         `json:"nodes"`
	Share    float64     `json:"of_dedicated"` // GPUs, of those that dedicated engines need
	WaitP99  float64     `json:"wait_p99_s"`   // of the answer, the longest of the seeds
	ModelsIn int         `json:"models_within"`
	Models   int         `json:"models"`
	Monotone bool        `json:"monotone"`
	Looked   []FleetWait `json:"looked_at"` // by size
}

// FleetWait is what was waited with one fleet.
type FleetWait struct {
	Nodes    int     `json:"nodes"`
	GPUs     int     `json:"gpus"`
	Met      bool    `json:"met"`
	WaitP99  float64 `json:"wait_p99_s"`    // the longest of the seeds
	ModelsIn int     `json:"models_within"` // models of whose own requests at most one in a hundred waits longer, under every seed; others hide behind busier ones
	Cost     float64 `json:"cost"`          // mean of the seeds, as Result has it
}

// Sizing says what is to be found out. All fields are required.
type Sizing struct {
	Config // of the cluster; its Nodes are the most that are looked at
	Seeds  []uint64
	For    time.Duration // the wait that 99 % of the requests must not exceed
}

const alsoHold = 2 // so many next fleets must hold the wait as well

// SizeFleet searches the smallest fleet for a policy by halving, and then looks at its neighbours. It looks at ctx now and then, and calls looked for each fleet. dedicated, to compare
// with, and looked may be nil.
func SizeFleet(ctx context.Context, s *Sizing, dedicated *FleetSize, looked func(FleetWait)) (*FleetSize, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	f := &fleetSearch{most: s.Nodes, known: make(map[int]FleetWait), measure: func(nodes int) (FleetWait, error) {
		w, err := s.measure(ctx, nodes)
		if err == nil && looked != nil {
			looked(w)
		}
		return w, err
	}}
	size, err := f.run()
	if err != nil {
		return nil, err
	}
	size.Policy, size.For, size.Models = s.Policy, s.For.Seconds(), len(s.Profiles)
	if dedicated != nil && dedicated.GPUs > 0 {
		size.Share = float64(size.GPUs) / float64(dedicated.GPUs)
	}
	return size, nil
}

// fleetSearch looks at fleets of up to so many nodes, each once.
type fleetSearch struct {
	most    int
	measure func(nodes int) (FleetWait, error)
	known   map[int]FleetWait // nodes -> what was waited
}

// run searches, and says what was found.
func (f *fleetSearch) run() (*FleetSize, error) {
	n, met, err := f.search()
	if err != nil {
		return nil, err
	}
	size := &FleetSize{Met: met, Monotone: true}
	for _, w := range f.known {
		size.Looked = append(size.Looked, w)
	}
	slices.SortFunc(size.Looked, func(a, b FleetWait) int { return cmp.Compare(a.Nodes, b.Nodes) })
	for i := range size.Looked[1:] {
		size.Monotone = size.Monotone && (!size.Looked[i].Met || size.Looked[i+1].Met)
	}
	at := f.known[f.most]
	if met {
		at = f.known[n]
		size.Nodes, size.GPUs = n, at.GPUs
	}
	size.WaitP99, size.ModelsIn = at.WaitP99, at.ModelsIn
	return size, nil
}

// search gives the answer's nodes; false = the largest fleet does not hold the wait.
func (f *fleetSearch) search() (int, bool, error) {
	fails, holds := 0, f.most
	if met, err := f.look(holds); err != nil || !met {
		return 0, false, err
	}
	for holds-fails > 1 {
		mid := fails + (holds-fails)/2
		met, err := f.look(mid)
		if err != nil {
			return 0, false, err
		}
		if met {
			holds = mid
		} else {
			fails = mid
		}
	}
	return f.settle(holds)
}

// settle moves up from a fleet that holds the wait until the next ones do as well. It also looks at the second one below, only to know whether that fails as the first does.
func (f *fleetSearch) settle(n int) (int, bool, error) {
	if n > 2 {
		if _, err := f.look(n - 2); err != nil {
			return 0, false, err
		}
	}
	for next := n + 1; next <= min(n+alsoHold, f.most); next++ {
		met, err := f.look(next)
		if err != nil {
			return 0, false, err
		}
		if !met {
			n = next + 1 // the largest of all holds it, so this one exists
		}
	}
	_, err := f.look(n)
	return n, true, err
}

// look says whether a fleet holds the wait.
func (f *fleetSearch) look(nodes int) (bool, error) {
	w, known := f.known[nodes]
	if !known {
		var err error
		if w, err = f.measure(nodes); err != nil {
			return false, err
		}
		f.known[nodes] = w
	}
	return w.Met, nil
}

// measure simulates a fleet under every seed.
func (s *Sizing) measure(ctx context.Context, nodes int) (FleetWait, error) {
	w := FleetWait{Nodes: nodes, GPUs: nodes * s.GPUsPerNode, Met: true}
	within := slices.Repeat([]bool{true}, len(s.Profiles))
	for _, seed := range s.Seeds {
		cfg := s.Config
		cfg.Nodes, cfg.Seed, cfg.limit = nodes, seed, s.For
		r, err := Run(ctx, cfg)
		if err != nil {
			return w, fmt.Errorf("%d nodes: %w", nodes, err)
		}
		w.Met = w.Met && r.within
		w.WaitP99 = max(w.WaitP99, r.WaitP99)
		w.Cost += r.Cost / float64(len(s.Seeds))
		for m := range within {
			within[m] = within[m] && r.modelsWithin[m]
		}
	}
	w.ModelsIn = count(within)
	return w, nil
}

func count(these []bool) int {
	n := 0
	for _, is := range these {
		if is {
			n++
		}
	}
	return n
}

// check says what is wrong, or nil.
func (s *Sizing) check() error {
	switch {
	case s.For <= 0:
		return errors.New("the wait must be above zero")
	case len(s.Seeds) == 0:
		return errors.New("no seeds")
	}
	return s.Config.check()
}
