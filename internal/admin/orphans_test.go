package admin_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// fakeOrphans is a back end with one orphan of another cluster.
type fakeOrphans struct {
	orphan  fleet.Orphan
	err     error // what both answer; nil = as they do
	stopped []string
}

func (f *fakeOrphans) Orphans(context.Context) ([]fleet.Orphan, error) {
	return []fleet.Orphan{f.orphan}, f.err
}

func (f *fakeOrphans) StopOrphan(_ context.Context, id, cluster string) (fleet.Orphan, error) {
	if f.err == nil {
		f.stopped = append(f.stopped, id+" of "+cluster)
	}
	return f.orphan, f.err
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	f := &fakeOrphans{orphan: fleet.Orphan{
		ID: "pilotlight-old-slot-s1", Kind: fleet.OrphanSlot, Why: fleet.OrphanOfCluster, Cluster: "old", Pool: "h100", Node: "gpu-1", GPUs: 8,
		Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}}
	w, ctx := newWorld(t, func(c *admin.Config) { c.Orphans = f }), t.Context()
	want := admin.Orphan{
		ID: "pilotlight-old-slot-s1", Kind: fleet.OrphanSlot, Why: fleet.OrphanOfCluster, Cluster: "old", Pool: "h100", Node: "gpu-1", GPUs: 8,
		Since: admin.Time{Time: f.orphan.Since},
	}
	listed, err := w.client.Orphans(ctx)
	check(t, err)
	if diff := cmp.Diff([]admin.Orphan{want}, listed); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	stopped, err := w.client.StopOrphan(ctx, want.ID, "old")
	check(t, err)
	if !cmp.Equal(&want, stopped) || !cmp.Equal(f.stopped, []string{"pilotlight-old-slot-s1 of old"}) {
		t.Errorf("got %+v, and %q stopped", stopped, f.stopped)
	}
	if status, body, _ := w.ask("DELETE", "/api/orphans/x?force=1", ""); status != 400 {
		t.Errorf("with an unknown parameter: got %d %s, want 400", status, body)
	}
	for _, row := range []struct {
		err  error
		code string
	}{
		{fleet.ErrNoOrphan, openai.CodeNotFound},
		{fleet.ErrCared, openai.CodeInvalidRequest},
		{fleet.ErrOtherCluster, openai.CodeInvalidRequest},
		{fleet.ErrDenied, openai.CodeOverloaded},
		{fleet.ErrUnreachable, openai.CodeOverloaded},
	} {
		f.err = fmt.Errorf("stopping x: %w", row.err)
		var answer *openai.Error
		if _, err := w.client.StopOrphan(ctx, "x", ""); !errors.As(err, &answer) || answer.Code != row.code {
			t.Errorf("%v: got %v, want %s", row.err, err, row.code)
		}
	}
	if _, err := w.client.Orphans(ctx); err == nil {
		t.Error("a list that could not be had is shown")
	}
}

func TestOrphans_ABackEndMayHaveNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if list, err := w.client.Orphans(t.Context()); err != nil || list == nil || len(list) > 0 {
		t.Errorf("got %v, %v, want an empty list", list, err)
	}
	var answer *openai.Error
	if _, err := w.client.StopOrphan(t.Context(), "x", ""); !errors.As(err, &answer) || answer.Code != openai.CodeNotFound {
		t.Errorf("got %v, want %s", err, openai.CodeNotFound)
	}
}
