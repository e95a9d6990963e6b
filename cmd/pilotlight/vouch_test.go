package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestVouch_OnlyAnInstancesOwnPlaceVouches: its slot's supervisor, or for one on a job of its own the engine itself, unless a newer term is known.
func TestVouch_OnlyAnInstancesOwnPlaceVouches(t *testing.T) {
	engine := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer engine.Close()
	lives, dead := strings.TrimPrefix(engine.URL, "http://"), "127.0.0.1:1"
	type world struct {
		fenced uint64
		nomad  error
		slot   fleet.Observation
		silent error
	}
	sight := func(id string, state fleet.State, gone bool) fleet.Sighting {
		return fleet.Sighting{Instance: fleet.Instance{ID: id, State: state}, Gone: gone}
	}
	says := func(term uint64, i ...fleet.Sighting) fleet.Observation {
		return fleet.Observation{Term: term, Complete: true, Slots: []fleet.Slot{{ID: "s"}}, Instances: i}
	}
	pooled, alone := dispatch.Shared{Instance: "p", Model: "pooled", Addr: dead}, dispatch.Shared{Instance: "d", Model: "alone", Addr: lives}
	for name, row := range map[string]struct {
		w       world
		i       dispatch.Shared
		vouches bool
	}{
		"its slot has it ready":          {world{slot: says(5, sight("p", fleet.Ready, false))}, pooled, true},
		"a newer planner has been there": {world{slot: says(6, sight("p", fleet.Ready, false))}, pooled, false},
		"its slot has parked it":         {world{slot: says(5, sight("p", fleet.Asleep, false))}, pooled, false},
		"its slot says that it is gone":  {world{slot: says(5, sight("p", fleet.Ready, true))}, pooled, false},
		"its slot has it no more":        {world{slot: says(5)}, pooled, false},
		"its slot is silent":             {world{silent: fleet.ErrUnreachable}, pooled, false},
		"its slot is not known":          {world{}, dispatch.Shared{Instance: "other", Model: "pooled", Addr: lives}, false},
		"its model is not known":         {world{}, dispatch.Shared{Instance: "d", Model: "none", Addr: lives}, false},
		"its engine answers":             {world{fenced: 5}, alone, true},
		"and Nomad cannot be asked":      {world{nomad: errors.New("no answer")}, alone, true},
		"Nomad knows a newer term":       {world{fenced: 6}, alone, false},
		"its engine does not answer":     {world{fenced: 5}, dispatch.Shared{Instance: "d", Model: "alone", Addr: dead}, false},
	} {
		asked := 0
		s := &server{backEnd: backEnd{
			fencedTerm: func(context.Context) (uint64, error) { return row.w.fenced, row.w.nomad },
			askSlot: func(context.Context, string) (fleet.Observation, error) {
				asked++
				return row.w.slot, row.w.silent
			},
		}}
		before := says(5, sight("p", fleet.Ready, false), sight("q", fleet.Ready, false))
		s.places.note(&before)
		q := &inquiry{s: s, slots: map[string]*slotWord{}, byModel: map[string]*fleet.Model{
			"pooled": {ID: "pooled", Pool: "x"}, "alone": {ID: "alone", Engine: fleet.EngineSpec{Kind: fleet.EngineSim}},
		}}
		if got := q.vouches(t.Context(), 5, row.i); got != row.vouches {
			t.Errorf("%s: got %v, want %v", name, got, row.vouches)
		}
		q.vouches(t.Context(), 5, dispatch.Shared{Instance: "q", Model: "pooled"})
		if asked > 1 {
			t.Errorf("%s: the slot was asked %d times in one round", name, asked)
		}
	}
}
