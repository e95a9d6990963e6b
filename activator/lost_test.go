package activator_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestLost_AnEngineThatHangsIsGivenUpThoughNobodyMissesIt(t *testing.T) {
	onNodes(t, []int{4}, []*fleet.Model{model("a", 4)}, func(w *world, c *cluster) {
		held := w.ask(activator.Ask{Model: "a"})
		w.wait(held)
		following, unfollow := context.WithCancel(context.Background())
		var lost []string
		followed := make(chan struct{})
		go func() {
			_ = w.a.Follow(following, math.MaxUint64, func(n fleet.Notice) error {
				if n.Lost {
					lost = append(lost, n.Instance)
				}
				return nil
			})
			close(followed)
		}()
		synctest.Wait()
		hangs := fleet.Sighting{
			Instance: fleet.Instance{ID: held.lease.Instance, Model: "a", GPUs: 4, State: fleet.Failed, Addr: held.lease.Addr},
			Running:  -1, Failure: "engine hangs", Cause: fleet.CauseEngine,
		}
		c.heard["probe"](fleet.Observation{Source: "probe", At: time.Now(), Instances: []fleet.Sighting{hangs}}) // Consul goes on saying that it passes
		synctest.Wait()
		if got := w.a.Snapshot().Instances[0].State; got != fleet.Draining {
			t.Errorf("got it %s, want it draining", got)
		}
		held.release(activator.EngineFailed)
		time.Sleep(w.stopTime + time.Second)
		unfollow()
		<-followed
		if len(lost) == 0 || lost[0] != held.lease.Instance {
			t.Errorf("got %v lost, want %s, from the moment it was given up", lost, held.lease.Instance)
		}
	})
}

func TestLost_AnIdleInstanceThatIsStoppedIsNotLostBeforeItIsGone(t *testing.T) {
	onNodes(t, []int{4}, []*fleet.Model{model("a", 4)}, func(w *world, _ *cluster) {
		var told []fleet.Notice
		ctx, cancel := context.WithCancel(context.Background())
		followed := make(chan struct{})
		go func() {
			_ = w.a.Follow(ctx, 0, func(n fleet.Notice) error {
				told = append(told, n)
				return nil
			})
			close(followed)
		}()
		w.serve("a", time.Second)
		time.Sleep(time.Hour)
		cancel()
		<-followed
		for _, n := range told {
			if n.Lost != (n.To == "") {
				t.Errorf("got lost %v from %q to %q, want it of one that is gone only", n.Lost, n.From, n.To)
			}
		}
	})
}
