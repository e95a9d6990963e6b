package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// journal notes in which order stages end.
type journal struct {
	mu    sync.Mutex // guards ended
	ended []string
}

func (j *journal) stage(name string, takes time.Duration) stage {
	return stage{name: name, run: func(ctx context.Context) error {
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), errHurry) {
			time.Sleep(takes)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.ended = append(j.ended, name)
		return ctx.Err()
	}}
}

func TestRunStages_EndInOrderThoughTheFirstIsTheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := runStages(ctx, nil, []stage{j.stage("router", time.Minute), j.stage("activator", time.Second), j.stage("ledger", 0)})
		if err != nil {
			t.Errorf("got error %v, want none", err)
		}
		if want := []string{"router", "activator", "ledger"}; !slices.Equal(j.ended, want) {
			t.Errorf("got ends %v, want %v", j.ended, want)
		}
	})
}

func TestRunStages_OneThatFailsEndsTheOthersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		broken := stage{name: "back end", run: func(context.Context) error {
			time.Sleep(time.Second)
			return errors.New("no more disk")
		}}
		err := runStages(t.Context(), nil, []stage{j.stage("router", time.Second), broken, j.stage("ledger", 0)})
		if err == nil || !strings.Contains(err.Error(), "running back end: no more disk") {
			t.Errorf("got error %v, want the back end's", err)
		}
		if want := []string{"router", "ledger"}; !slices.Equal(j.ended, want) {
			t.Errorf("got ends %v, want %v", j.ended, want)
		}
	})
}

func TestRunStages_OneThatEndsByItselfIsAnError(t *testing.T) {
	err := runStages(t.Context(), nil, []stage{{name: "mover", run: func(context.Context) error { return nil }}})
	if err == nil || !strings.Contains(err.Error(), "mover has ended by itself") {
		t.Errorf("got error %v, want one that names the stage", err)
	}
}

func TestRunStages_HurryEndsAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hurry := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		time.AfterFunc(2*time.Second, func() { close(hurry) })
		stubborn := stage{name: "router", run: func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(10 * time.Second)
			return nil
		}}
		var j journal
		began := time.Now()
		err := runStages(ctx, hurry, []stage{stubborn, j.stage("activator", time.Hour)})
		if !errors.Is(err, errHurry) {
			t.Errorf("got error %v, want errHurry", err)
		}
		if took := time.Since(began); took != 2*time.Second+hurryGrace {
			t.Errorf("got an end after %v, want %v", took, 2*time.Second+hurryGrace)
		}
		time.Sleep(10 * time.Second) // until the stage that was left behind has ended: a bubble wants nothing left
		j.mu.Lock()
		defer j.mu.Unlock()
		if want := []string{"activator"}; !slices.Equal(j.ended, want) {
			t.Errorf("got ends %v, want %v: what can end at once does", j.ended, want)
		}
	})
}
