package activator_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestMakingRoom_EightModelsInTurn(t *testing.T) {
	var models []*fleet.Model
	for i, gpus := range []int{8, 2, 2, 4, 1, 1, 4, 8} {
		models = append(models, model(fmt.Sprint("m", i), gpus, func(m *fleet.Model) { m.IdleAfter = time.Hour }))
	}
	inWorld(t, models, func(w *world) {
		for range 3 {
			for i := range models {
				if c := w.serve(fmt.Sprint("m", i), time.Second); c.took > w.startTime+w.stopTime {
					t.Errorf("m%d waited %s, want at most one stop and one start", i, c.took)
				}
			}
		}
		time.Sleep(2 * time.Hour)
		for i := range models {
			w.wantState(fmt.Sprint("m", i), "cold")
		}
	})
}

func TestMakingRoom_BusyAreDrainedNotCut(t *testing.T) {
	inWorld(t, []*fleet.Model{model("small", 1), model("large", 8)}, func(w *world) {
		s := w.ask(activator.Ask{Model: "small"})
		w.wait(s)
		time.Sleep(45 * time.Second) // hot for 45 s of 60 s
		l := w.ask(activator.Ask{Model: "large"})
		time.Sleep(14 * time.Second)
		if s2 := w.ask(activator.Ask{Model: "small"}); s2.lease == nil {
			t.Errorf("before residence a busy instance must still grant; got %v", s2.err)
		} else {
			s2.release(activator.Succeeded)
		}
		time.Sleep(2 * time.Second) // patience and residence are over
		s3 := w.ask(activator.Ask{Model: "small"})
		synctest.Wait()
		if s3.ready {
			t.Errorf("a draining instance granted a lease: %+v %v", s3.lease, s3.err)
		}
		time.Sleep(5 * time.Minute)
		w.wantLaunches("small", 1) // what still runs on a draining instance needs no other
		if l.ready {
			t.Errorf("the large model was answered while a stream ran: %v", l.err)
		}
		s.release(activator.Succeeded)
		w.wait(l)
		if l.err != nil {
			t.Fatal(l.err)
		}
		l.release(activator.Succeeded)
		w.wait(s3) // and the small one has its turn again
		if s3.err != nil {
			t.Error(s3.err)
		}
	})
}

func TestStarvation_LargeAgainstManySmall(t *testing.T) {
	models := []*fleet.Model{model("large", 8)}
	for _, id := range ids(12) {
		models = append(models, model(id, 1, func(m *fleet.Model) { m.Queue.MaxWait = time.Hour; m.IdleAfter = time.Hour }))
	}
	inWorld(t, models, func(w *world) {
		over := make(chan struct{})
		for _, id := range ids(12) {
			go func() { // somebody always uses each of the small ones
				for {
					select {
					case <-over:
						return
					default:
					}
					c := w.ask(activator.Ask{Model: id})
					<-c.done
					time.Sleep(7 * time.Second)
					if c.err == nil {
						c.release(activator.Succeeded)
					}
				}
			}()
		}
		time.Sleep(10 * time.Minute)
		for range 3 {
			c := w.serve("large", time.Second)
			if c.took > 4*time.Minute {
				t.Errorf("the large model waited %s", c.took)
			}
			time.Sleep(3 * time.Minute)
		}
		close(over)
		time.Sleep(time.Hour)
	})
}

func TestMakingRoom_ReservationMovesWhereItIsSooner(t *testing.T) {
	models := []*fleet.Model{model("a", 4), model("b", 4, func(m *fleet.Model) { m.IdleAfter = time.Hour }), model("c", 4)}
	inWorld(t, models, func(w *world) {
		a, b := w.ask(activator.Ask{Model: "a"}), w.ask(activator.Ask{Model: "b"})
		w.wait(a)
		w.wait(b)
		time.Sleep(2 * time.Minute)
		c := w.ask(activator.Ask{Model: "c"})
		time.Sleep(time.Minute) // its block is reserved under one of them, whose stream goes on
		b.release(activator.Succeeded)
		time.Sleep(100*time.Millisecond + w.stopTime + w.startTime) // what is not urgent is reported within 100 ms
		synctest.Wait()
		if !c.ready || c.err != nil {
			t.Fatalf("got answered %v, %v; want c on the GPUs of b, which has become idle", c.ready, c.err)
		}
		a.release(activator.Succeeded)
		c.release(activator.Succeeded)
	})
}
