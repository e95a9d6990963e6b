package rounds_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/rounds"
)

func TestAnswer_IsOfThoseWhomTheRoundHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w rounds.Waiting
		wait := func() <-chan bool {
			one, got := w.Join(time.Now().Add(time.Minute)), make(chan bool, 1)
			go func() { got <- one.Wait(func() { t.Error("who was answered has left") }) }()
			return got
		}
		early := wait()
		if n := w.Look(); n != 1 {
			t.Errorf("the round has seen %d, want 1", n)
		}
		late := wait()
		if n := w.Answer(true); n != 1 || w.Len() != 1 {
			t.Errorf("answered %d, and %d wait; want 1 and 1", n, w.Len())
		}
		if !<-early {
			t.Error("got false, want what the round has brought")
		}
		w.Release()
		if <-late || w.Len() != 0 {
			t.Errorf("got true, or %d wait; want false, and nobody", w.Len())
		}
	})
}

func TestWait_EndsAtItsMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w rounds.Waiting
		began := time.Now()
		other, one := w.Join(began.Add(2*time.Second)), w.Join(began.Add(time.Second))
		if first := w.First(); !first.Equal(began.Add(time.Second)) {
			t.Errorf("the first waits until %s, want the one with the sooner moment", first)
		}
		if one.Wait(func() { w.Leave(one) }) || time.Since(began) != time.Second {
			t.Errorf("got true, or an end after %s; want false after 1s", time.Since(began))
		}
		w.Leave(one) // once more
		w.Look()
		if n := w.Answer(true); n != 1 || !other.Wait(func() {}) {
			t.Errorf("answered %d, want the other alone, with true", n)
		}
	})
}
