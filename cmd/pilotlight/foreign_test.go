package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

func TestForeign_ModelsOfOtherServersAreTakenBesideOnesOwn(t *testing.T) {
	ctx := t.Context()
	kept, err := store.Open(ctx, filepath.Join(t.TempDir(), "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	one, two := &foreign{store: kept, server: "one"}, &foreign{store: kept, server: "two"}
	now := time.Now()
	shared, only, pooled := &fleet.Model{ID: "shared", GPUs: 1}, &fleet.Model{ID: "only", GPUs: 2}, &fleet.Model{ID: "pooled", Pool: "p", GPUs: 1}
	theirs := &fleet.Model{ID: "shared", GPUs: 4}
	if err := two.tell(ctx, now, []*fleet.Model{theirs, only, pooled}); err != nil {
		t.Fatal(err)
	}
	read := func(at time.Time, want bool) {
		t.Helper()
		if changed, err := one.read(ctx, at, map[string]*fleet.Model{"shared": shared}); err != nil || changed != want {
			t.Errorf("reading: got %v, %v, want %v", changed, err, want)
		}
	}
	ids := func(pools ...fleet.Pool) (all string) {
		for _, m := range one.beside([]*fleet.Model{shared}, pools) {
			if all += m.ID + " "; m.ID == "shared" && m.GPUs != 1 {
				t.Error("another server's settings beat this one's")
			}
		}
		return all
	}
	if got := ids(); got != "shared " {
		t.Errorf("before it has read: %s", got)
	}
	read(now, true)
	read(now, false)
	if got := ids(); got != "shared only " {
		t.Errorf("without the pool: got %s", got)
	}
	if got := ids(fleet.Pool{Name: "p"}); got != "shared only pooled " {
		t.Errorf("with the pool: got %s", got)
	}
	read(now.Add(forgetModelsAt+time.Second), true) // it has not been heard for so long
	if got := ids(fleet.Pool{Name: "p"}); got != "shared " {
		t.Errorf("of one that is gone: got %s", got)
	}
	if got := (*foreign)(nil).beside([]*fleet.Model{shared}, nil); len(got) != 1 {
		t.Errorf("the only server has %d models", len(got))
	}
}
