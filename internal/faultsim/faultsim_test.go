package faultsim

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// counter is a world that breaks its promise when three things have happened in this order, whatever happened between them.
func counter(t *Tape) error {
	t.Note("begins with %d", t.Choose(5))
	want := []int{7, 3, 9}
	for t.More() {
		t.Step()
		what := t.Choose(12)
		t.Note("%d, and %d", what, t.Choose(1000))
		if what == want[0] {
			want = want[1:]
		}
		if len(want) == 0 {
			return errors.New("seven, three, nine")
		}
	}
	for range 5 {
		t.Note("calm %d", t.Choose(100))
	}
	return nil
}

func TestTape_OneSeedIsOneHistory(t *testing.T) {
	for seed := range uint64(50) {
		first, again := newTape(seed, true), newTape(seed, true)
		_, _ = counter(first), counter(again)
		if first.sum != again.sum || !slices.Equal(first.log, again.log) {
			t.Fatalf("seed %d: got two histories", seed)
		}
		third := replay(first.clone(), true)
		_ = counter(third)
		if third.sum != first.sum || !slices.Equal(first.log, third.log) {
			t.Fatalf("seed %d: its choices give another history", seed)
		}
	}
}

func TestTwice_ShowsWhereAWorldIsLeftToChance(t *testing.T) {
	same := World{Play: func(tape *Tape) error {
		_ = counter(tape)
		return nil
	}}
	if err := same.twice(1); err != nil {
		t.Error(err)
	}
	plays := 0
	chance := World{Play: func(tape *Tape) error {
		plays++
		tape.Note("one")
		tape.Note("play %d", plays)
		return nil
	}}
	if err := chance.twice(1); err == nil || err.Error() != `seed 1 is more than one history, from note 1 on: ["play 1"], and ["play 2"]` {
		t.Errorf("got %v", err)
	}
	longer := World{Play: func(tape *Tape) error {
		if plays++; plays%2 == 0 {
			tape.Note("one")
		}
		return nil
	}}
	if err := longer.twice(1); err == nil {
		t.Error("got nil for one history with a note and one without")
	}
}

func TestShrink_FindsTheShortestHistory(t *testing.T) {
	tape := newTape(0, false)
	for seed := uint64(0); counter(tape) == nil; seed++ {
		tape = newTape(seed, false)
	}
	if n := len(tape.blocks); n < 10 {
		t.Fatalf("got a history of %d blocks, which shows little", n)
	}
	short := replay(shrink(counter, tape.clone(), errors.New("seven, three, nine")), true)
	if err := counter(short); err == nil {
		t.Fatal("the shortest history keeps its promise")
	}
	want := []string{"7, and 0", "3, and 0", "9, and 0"}
	if got := short.log[1:]; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlay_APanicBreaksAPromise(t *testing.T) {
	w := World{Play: func(tape *Tape) error {
		for tape.More() {
			if tape.Choose(50) == 7 {
				panic("seven")
			}
		}
		return nil
	}}
	r := &run{w: w, last: 1 << 20}
	r.play()
	tape := newTape(r.failure, false)
	err := w.play(tape)
	if !r.failed || err == nil {
		t.Fatalf("got failed %v, %v, want a panic that is an error", r.failed, err)
	}
	if short := shrink(w.play, tape.clone(), err); len(short) != 3 {
		t.Errorf("got a shortest history of %d blocks, want setup, one and calm", len(short))
	}
}

func TestRun_CountsAndStopsAtTheFirstFailure(t *testing.T) {
	r := &run{w: World{Play: func(tape *Tape) error {
		tape.Step()
		tape.Reach("here")
		if tape.Choose(100) == 0 {
			return fmt.Errorf("broken")
		}
		return nil
	}}, last: 1 << 20}
	r.play()
	if !r.failed || r.steps != r.seeds || r.counts["here"] != r.seeds {
		t.Fatalf("got %d seeds, %d steps, %v, failed %v", r.seeds, r.steps, r.counts, r.failed)
	}
	if tape := newTape(r.failure, false); tape.Choose(100) != 0 {
		t.Errorf("seed %d is said to fail, and does not", r.failure)
	}
}
