package activator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestSuspend_HotModelsServeOnAndNothingIsStartedOrTakenAway(t *testing.T) {
	inWorld(t, []*fleet.Model{model("hot", 8), model("cold", 8), model("dies", 1)}, func(w *world) {
		w.serve("hot", time.Second)
		w.a.Suspend("another server may lead")
		held := w.ask(activator.Ask{Model: "cold"})
		time.Sleep(5 * time.Minute) // long after idle_after, and of nine that it may wait
		w.wantState("hot", "hot")
		w.wantLaunches("cold", 0)
		if e, err := w.a.Explain("cold"); err != nil || e.Outlook.Reason != "another server may lead" {
			t.Errorf("who waits is told %+v, %v", e.Outlook, err)
		}
		if c := w.serve("hot", time.Second); c.took != 0 {
			t.Errorf("the hot model answered after %v, want at once", c.took)
		}
		w.a.Resume()
		w.wait(held)
		w.wantLaunches("cold", 1)
		held.release(activator.Succeeded)
	})
}

func TestSuspend_WhatEndsMeanwhileGetsNoRequest(t *testing.T) {
	inWorld(t, []*fleet.Model{model("hot", 1)}, func(w *world) {
		w.serve("hot", time.Second)
		w.a.Suspend("another server may lead")
		w.exit(w.engineOf("hot"), "killed")
		synctest.Wait()
		c := w.ask(activator.Ask{Model: "hot", MaxWait: time.Minute})
		w.wait(c)
		w.wantErr(c, activator.ErrNoCapacity)
		w.a.Resume()
		w.serve("hot", time.Second)
	})
}
