package main

import (
	"context"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/series"
	"github.com/pilotlight-io/pilotlight/router"
)

// openSeries makes what keeps the live series that the console draws.
func (s *server) openSeries(context.Context) (err error) {
	s.series, err = series.New(series.Config{Sample: s.sample, Bounds: router.FirstTokenBounds()})
	return err
}

// sample is what there is now. It reads counters, and asks the planner once.
func (s *server) sample() series.Sample {
	levels := s.activator.Levels()
	at := make(map[string]int, len(levels.Models)) // model -> its place
	var all series.Sample
	for i, m := range levels.Models {
		at[m.ID] = i
		all.Models = append(all.Models, series.Model{
			ID: m.ID, Waiting: m.Waiting, Hot: m.States[fleet.Ready], Starting: m.States[fleet.Starting] + m.States[fleet.Resuming], Parked: m.States[fleet.Asleep],
		})
	}
	for _, t := range s.router.Traffic() {
		if i, known := at[t.Model]; known {
			m := &all.Models[i]
			m.Answered, m.Failed, m.TTFT = t.Answered, t.Failed, t.FirstTokens
		}
	}
	for _, p := range levels.Pools {
		all.GPUs.Busy += p.GPUs["busy"]
		all.GPUs.Idle += p.GPUs["idle"]
		all.GPUs.Starting += p.GPUs["starting"]
		all.GPUs.Stopping += p.GPUs["stopping"]
		if p.Name != "" || s.c.Config.Backend.Kind != config.BackendLocal { // this machine's GPUs are the pool's
			all.GPUs.Free += p.GPUs["free"]
		}
	}
	return all
}
