package activator_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestHoldAndStop(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1), model("big", 8), model("huge", 16)}, func(w *world) {
		if err := w.a.Hold("huge", 0); !errors.Is(err, activator.ErrNoCapacity) {
			t.Errorf("holding what never fits: got %v", err)
		}
		if err := w.a.Hold("nobody", 0); !errors.Is(err, activator.ErrUnknownModel) {
			t.Errorf("holding an unknown model: got %v", err)
		}
		if err := w.a.Hold("llama", 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		w.wantState("llama", "hot")
		big := w.ask(activator.Ask{Model: "big", MaxWait: 30 * time.Second})
		w.wait(big)
		w.wantErr(big, activator.ErrNoCapacity) // what an operator holds is not moved
		time.Sleep(time.Minute)
		w.wantState("llama", "cold")

		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		if err := w.a.Hold("llama", time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := w.a.StopModel("llama"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.wantLaunches("llama", 2)
		c.release(activator.Succeeded)
		time.Sleep(2 * time.Minute)
		w.wantState("llama", "cold") // the hold is over
		w.serve("llama", time.Second)
		w.wantLaunches("llama", 3)
	})
}

func TestStop_WhileStarting(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		if err := w.a.Hold("llama", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if err := w.a.StopModel("llama"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		w.wantState("llama", "cold")
		w.wantLaunches("llama", 1)
		w.serve("llama", time.Second) // no back-off for what the operator stopped
	})
}

func TestDrain_AnswersAll(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.a.Drain()
		w.wantErr(c, activator.ErrShuttingDown)
		w.wantErr(w.ask(activator.Ask{Model: "llama"}), activator.ErrShuttingDown)
	})
}

func TestRun_EndAnswersWhoStillWaits(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.stop()
		w.wantErr(c, activator.ErrShuttingDown)
	})
}
