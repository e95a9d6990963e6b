package nomad

import (
	"context"
	"fmt"
	"time"
)

// A job of ours has one allocation for its whole life. Whatever else it comes to have, by hand or by Nomad, is brought back to one, or the job is given up.

// giveUp has a job stopped whose instance or slot has ended, or is not what was launched any more: or Nomad would start it again, unasked.
func (w *watch) giveUp(j *job) { w.ended[j.ID] = true }

// scaledToNone reports whether somebody has scaled the job to none.
func scaledToNone(j *job) bool {
	g := j.group()
	return g != nil && g.Count == 0
}

// keepToOne has a job scaled back that was scaled up, and gives it up where that does not help.
func (w *watch) keepToOne(j *job) {
	g, surplus := j.group(), w.state.surplus(j)
	scaled := g != nil && g.Count > 1
	if !scaled && surplus == 0 {
		delete(w.surplusSince, j.ID)
		return
	}
	since, known := w.surplusSince[j.ID]
	if !known {
		since = time.Now()
		w.surplusSince[j.ID] = since
	}
	switch {
	case time.Since(since) >= resyncEvery:
		w.n.log.Warn("a job keeps more than one allocation; it is given up", "job", j.ID)
		w.giveUp(j)
	case scaled && w.scaled[j.ID] != j.JobModifyIndex:
		w.scaleDown[j.ID] = j.JobModifyIndex
	}
}

// forgetMissing drops what was noted of jobs that are no more.
func (w *watch) forgetMissing() {
	for id := range w.scaled {
		if w.state.jobs[id] == nil {
			delete(w.scaled, id)
		}
	}
	for id := range w.surplusSince {
		if w.state.jobs[id] == nil {
			delete(w.surplusSince, id)
		}
	}
}

// correctJobs stops the jobs of instances and slots that have ended, and scales back those that were scaled up.
func (w *watch) correctJobs(ctx context.Context) error {
	for name := range w.ended {
		if err := within(ctx, func(ctx context.Context) error { return w.n.deregister(ctx, name) }); err != nil {
			return fmt.Errorf("stopping a job that has ended: %w", err)
		}
	}
	for name, index := range w.scaleDown {
		w.scaled[name] = index
		w.n.log.Warn("a job was scaled up by hand; it is scaled back to one allocation", "job", name)
		if err := within(ctx, func(ctx context.Context) error { return w.scaleToOne(ctx, name) }); err != nil {
			w.n.log.Warn("a job cannot be scaled back; it is given up", "job", name, "reason", err)
			w.ended[name] = true
			return nil // the next round stops it
		}
	}
	clear(w.ended)
	clear(w.scaleDown)
	return nil
}

// scaleToOne has Nomad stop the allocations beside the first: it stops those that came last.
func (w *watch) scaleToOne(ctx context.Context, name string) error {
	one := 1
	j := w.state.jobs[name]
	if j == nil {
		return nil
	}
	_, _, err := w.n.client.Jobs().Scale(name, j.label(), &one, "an instance is one allocation", false, nil, w.n.write(ctx))
	return needs(err, submitJob)
}
