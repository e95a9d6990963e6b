package activator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// wantProven asserts from when on the lease's engine is known to have made a token, as a time since the world began; negative = it is not known.
func (c *client) wantProven(at time.Duration) {
	c.w.Helper()
	got, proven := c.lease.ProvenAt()
	switch {
	case at < 0 && proven:
		c.w.Errorf("proven since %s, want it not proven", got.Sub(c.w.began))
	case at >= 0 && (!proven || !got.Equal(c.w.began.Add(at))):
		c.w.Errorf("got %s, %v, want it proven since %s", got.Sub(c.w.began), proven, at)
	}
}

func (w *world) now() time.Duration { return time.Since(w.began) }

// resumed starts the model, has it parked, and gives so many leases on it once it is resumed.
func (w *world) resumed(n int) []*client {
	w.Helper()
	w.serve("a", time.Second)
	time.Sleep(40 * time.Second)
	w.wantState("a", "parked")
	var cs []*client
	for range n {
		cs = append(cs, w.ask(activator.Ask{Model: "a"}))
	}
	for _, c := range cs {
		w.wait(c)
	}
	return cs
}

func TestProof_OneThatWasStartedHasGivenIt(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.proofTime = time.Second
		c := w.ask(activator.Ask{Model: "a"})
		w.wait(c)
		if at, proven := c.lease.ProvenAt(); !proven || !at.IsZero() {
			t.Errorf("got %s, %v, want it proven before", at, proven)
		}
		told := 0
		c.lease.OnProven(func(time.Time) { told++ })
		if told != 1 {
			t.Errorf("told %d times, want at once", told)
		}
		c.release(activator.Succeeded)
	}, parking())
}

func TestProof_OfOneThatWasResumedIsItsFirstToken(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.proofTime = 700 * time.Millisecond
		cs := w.resumed(3)
		due := w.now() + w.proofTime
		var told []time.Duration
		for _, c := range cs[:2] {
			c.wantProven(-1)
			c.lease.OnProven(func(at time.Time) { told = append(told, at.Sub(w.began)) })
		}
		cs[1].release(activator.Neutral) // is told no more
		time.Sleep(w.proofTime)
		synctest.Wait()
		for _, c := range cs {
			c.wantProven(due)
		}
		if len(told) != 1 || told[0] != due {
			t.Errorf("told %v, want once, of %s", told, due)
		}
		time.Sleep(time.Second)
		cs[0].lease.Prove()
		cs[0].wantProven(due) // the first counts
		late := w.ask(activator.Ask{Model: "a"})
		late.wantProven(due)
		for _, c := range []*client{cs[0], cs[2], late} {
			c.release(activator.Succeeded)
		}
	}, parking())
}

func TestProof_OfOneCallerCountsForAll(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.proofTime = time.Hour
		cs := w.resumed(2)
		time.Sleep(100 * time.Millisecond)
		var told time.Duration
		cs[1].lease.OnProven(func(at time.Time) { told = at.Sub(w.began) })
		cs[0].lease.Prove()
		at := w.now()
		cs[0].wantProven(at)
		cs[1].wantProven(at)
		if told != at {
			t.Errorf("told %s, want %s", told, at)
		}
		cs[0].release(activator.Succeeded)
		time.Sleep(time.Minute)
		late := w.ask(activator.Ask{Model: "a"}) // its supervisor has still seen no token
		late.wantProven(at)
		late.release(activator.Succeeded)
		cs[1].release(activator.Succeeded)
	}, parking())
}

func TestProof_IsAskedAnewOfEachLife(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.proofTime = time.Second
		for range 3 {
			c := w.resumed(1)[0]
			c.wantProven(-1)
			due := w.now() + w.proofTime
			time.Sleep(2 * w.proofTime)
			c.wantProven(due)
			c.release(activator.Succeeded)
		}
	}, parking())
}

// TestProof_OfOneThatDrains: its share is taken back, and its requests go on.
func TestProof_OfOneThatDrains(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.proofTime = time.Second
		c := w.resumed(1)[0]
		due := w.now() + w.proofTime
		if err := w.a.StopModel("a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * w.proofTime)
		c.wantProven(due)
		c.release(activator.Succeeded)
	}, parking())
}

// TestProof_IsAskedOfAnAdoptedOne: a server that takes over in the tail of a resume hears that it goes on.
func TestProof_IsAskedOfAnAdoptedOne(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.proofTime = time.Hour
		w.resumed(1)[0].release(activator.Neutral)
		w.stop()
		<-w.done
		cfg := activator.Config{Models: []*fleet.Model{model("a", 4)}, Seed: 1}
		parking()(&cfg)
		w.run(cfg)
		c := w.ask(activator.Ask{Model: "a"})
		w.wait(c)
		c.wantProven(-1)
		for _, e := range w.order {
			w.generate(e)
		}
		synctest.Wait()
		c.wantProven(w.now())
		c.release(activator.Succeeded)
	}, parking())
}
