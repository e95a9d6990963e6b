package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestPoolShow_DrawsWhoIsWhere(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	idle := &admin.Time{Time: now.Add(-75 * time.Second)}
	p := &admin.Pool{Live: []admin.Slot{
		{
			ID: "s1", Node: "n1", GPUs: 8, Occupants: []string{"a", "a", "b", "c", "d", "d", "d", "d"}, HostMemory: "1.5TiB", ParkedMemory: "64GiB",
			Reserved: []admin.Reservation{{Instance: "g", Model: "org/g", GPU: 0, GPUs: 2}},
		},
		{ID: "s2", GPUs: 12, Pending: true, Outdated: "image, volumes", Occupants: make([]string, 12), HostMemory: "0B", ParkedMemory: "0B"},
	}}
	instances := []admin.Instance{
		{ID: "d", Model: "org/d", Slot: "s1", GPU: 4, GPUs: 4, State: fleet.Resuming},
		{ID: "c", Model: "org/c", Slot: "s1", GPU: 3, GPUs: 1, State: fleet.Starting, Phase: fleet.PhaseLoading},
		{ID: "e", Model: "org/e", Slot: "s1", GPU: 4, GPUs: 4, State: fleet.Asleep},
		{ID: "f", Model: "org/f", Slot: "s1", GPU: 0, GPUs: 2, State: fleet.Asleep},
		{ID: "a", Model: "org/a", Slot: "s1", GPU: 0, GPUs: 2, State: fleet.Draining, Leases: 3},
		{ID: "b", Model: "org/b", Slot: "s1", GPU: 2, GPUs: 1, State: fleet.Ready, IdleSince: idle},
		{ID: "x", Model: "org/b", Slot: "elsewhere", GPU: 2, GPUs: 1, State: fleet.Ready},
	}
	var got strings.Builder
	if err := drawSlots(&got, p, instances, now); err != nil {
		t.Fatal(err)
	}
	want := `
slot s1 on n1: 8 GPUs, 0 free; parked engines take 64GiB of 1.5TiB host memory
  0 1 2 3 4 5 6 7  STATE     MODEL                 INSTANCE
  ~ ~ . . . . . .  draining  org/a  3 in flight    a
  . . # . . . . .  ready     org/b  idle 1m15s     b
  . . . + . . . .  starting  org/c  phase loading  c
  . . . . + + + +  resuming  org/d                 d
  z z . . . . . .  parked    org/f                 f
  . . . . z z z z  parked    org/e                 e
  r r . . . . . .  reserved  org/g                 g

slot s2: 12 GPUs, on its way
  launched with another config (image, volumes): nothing new is started here, and it is given back when nothing here is awake
  0  1  2  3  4  5  6  7  8  9  10 11  STATE  MODEL    INSTANCE
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("drawing (-want +got):\n%s", diff)
	}
	got.Reset()
	if err := drawSlots(&got, &admin.Pool{}, nil, now); err != nil || got.String() != "\nno slots\n" {
		t.Errorf("a pool without slots: got %q, %v", got.String(), err)
	}
}
