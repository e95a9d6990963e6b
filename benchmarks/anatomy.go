package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// steps are the parts of one activation on Nomad, one after the other but for evaluated, which goes on beside placed and what follows.
type steps struct {
	register  time.Duration // until Nomad has stored the job
	evaluated time.Duration // from then until the evaluation was complete
	placed    time.Duration // from then until the allocation was made
	started   time.Duration // from there until the task ran
	seen      time.Duration // from there until its first token was seen
	dispatch  time.Duration // from there until the held request was at the engine; 0 by hand
}

func (s *steps) total() time.Duration { return s.register + s.placed + s.started + s.seen + s.dispatch }

// nomadTimes are Nomad's own words on one job.
type nomadTimes struct{ stored, evaluated, placed, started time.Time }

// steps sorts the moments; all are of one machine's clock.
func (t *nomadTimes) steps(began, ready, dispatched time.Time) steps {
	return steps{
		register: t.stored.Sub(began), evaluated: t.evaluated.Sub(t.stored), placed: t.placed.Sub(t.stored),
		started: t.started.Sub(t.placed), seen: ready.Sub(t.started), dispatch: dispatched.Sub(ready),
	}
}

// readTimes asks Nomad when it did what about a job. The client tells the server within about a second that a task runs.
func readTimes(ctx context.Context, nomad, job string) (t nomadTimes, err error) {
	var stored struct{ SubmitTime int64 }
	if err := ask(ctx, http.MethodGet, nomad+"/v1/job/"+job, nil, &stored); err != nil {
		return t, err
	}
	var evaluations []struct{ CreateTime, ModifyTime int64 }
	if err := ask(ctx, http.MethodGet, nomad+"/v1/job/"+job+"/evaluations", nil, &evaluations); err != nil {
		return t, err
	}
	first := 0
	for i, e := range evaluations {
		if e.CreateTime < evaluations[first].CreateTime {
			first = i
		}
	}
	if len(evaluations) == 0 {
		return t, fmt.Errorf("job %s has no evaluation", job)
	}
	t.stored, t.evaluated = time.Unix(0, stored.SubmitTime), time.Unix(0, evaluations[first].ModifyTime)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		allocations, err := allocationsOf(ctx, nomad, job)
		if err != nil {
			return t, err
		}
		for _, a := range allocations {
			t.placed = time.Unix(0, a.CreateTime)
			for _, e := range a.TaskStates["engine"].Events {
				if e.Type == "Started" {
					t.started = time.Unix(0, e.Time)
					return t, nil
				}
			}
		}
	}
	return t, fmt.Errorf("job %s has not started within 30 s", job)
}

type allocation struct {
	ClientStatus string
	CreateTime   int64
	TaskStates   map[string]struct {
		Events []struct {
			Type string
			Time int64
		}
	}
}

func allocationsOf(ctx context.Context, nomad, job string) (list []allocation, err error) {
	err = ask(ctx, http.MethodGet, nomad+"/v1/job/"+job+"/allocations", nil, &list)
	return list, err
}

// idle waits until nothing runs any more.
func idle(ctx context.Context, nomad string) error {
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var list []allocation
		if err := ask(ctx, http.MethodGet, nomad+"/v1/allocations", nil, &list); err != nil {
			return err
		}
		live := 0
		for _, a := range list {
			if a.ClientStatus == "pending" || a.ClientStatus == "running" {
				live++
			}
		}
		if live == 0 {
			return nil
		}
	}
	return fmt.Errorf("allocations still live a minute after they were stopped")
}

// compareSteps gives the findings about both ways through one driver.
func compareSteps(driver string, ours, hand []steps) []finding {
	of := func(all []steps, part func(*steps) time.Duration) []float64 {
		out := make([]float64, len(all))
		for i := range all {
			out[i] = millis(part(&all[i]))
		}
		return out
	}
	name := func(what string) string { return "nomad, " + driver + ": " + what }
	a, b := of(ours, (*steps).total), of(hand, (*steps).total)
	found := append(spread(name("request to dispatch"), a), spread(name("the same job by hand, to its first token"), b)...)
	ratio := summarize(name("ours / by hand, of the medians"), "x", ratios(a, b))
	ratio.Median = quantileOf(a, 0.5) / quantileOf(b, 0.5)
	found = append(found, ratio)
	for _, part := range []struct {
		name string
		of   func(*steps) time.Duration
	}{
		{"register", func(s *steps) time.Duration { return s.register }},
		{"evaluation complete", func(s *steps) time.Duration { return s.evaluated }},
		{"placed", func(s *steps) time.Duration { return s.placed }},
		{"task started", func(s *steps) time.Duration { return s.started }},
		{"first token seen", func(s *steps) time.Duration { return s.seen }},
		{"dispatched", func(s *steps) time.Duration { return s.dispatch }},
	} {
		found = append(found,
			summarize(name(part.name+", ours"), "ms", of(ours, part.of)),
			summarize(name(part.name+", by hand"), "ms", of(hand, part.of)))
	}
	return found
}
