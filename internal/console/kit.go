package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

type kitRow struct {
	Name string
	Took time.Duration
}

// kit shows every component once, in every state that it has.
func (v *visit) kit() error {
	find, sorting := v.find(), v.sorting("name")
	var rows []kitRow
	for _, r := range []kitRow{{"first", 1500 * time.Millisecond}, {"second", 20 * time.Millisecond}, {"third", 3 * time.Minute}} {
		if find.has(r.Name) {
			rows = append(rows, r)
		}
	}
	sortBy(rows, sorting.Now, map[string]func(a, b *kitRow) int{
		"name": func(a, b *kitRow) int { return strings.Compare(a.Name, b.Name) },
		"took": func(a, b *kitRow) int { return int(a.Took - b.Took) },
	})
	slot := slotCard{ID: "kit-slot", Base: v.base, Pool: "h100", Slot: "slot-1", Node: "node-1", State: "ready", Parked: "org/asleep", ParkedCount: 1, ParkedMemory: 40 << 30}
	for _, c := range []gpuCell{
		{Count: 2, Model: "org/serves", State: fleet.Ready, Leases: 3},
		{First: 2, Count: 1, Model: "org/idle", State: fleet.Ready},
		{First: 3, Count: 1, Model: "org/starts", State: fleet.Starting, Phase: fleet.PhaseLoading},
		{First: 4, Count: 1, Model: "org/drains", State: fleet.Draining},
		{First: 5, Count: 1, Model: "org/failed", State: fleet.Failed},
		{First: 6, Count: 1, Reserved: "org/next"},
		{First: 7, Count: 1},
	} {
		slot.add(c)
	}
	return v.show(http.StatusOK, "kit", "Components", map[string]any{
		"States": []string{
			"hot", "parked", "starting", "cold", "ready", "draining", "parking", "resuming", "stopping", "failed", "pending", "ineligible", "closing", "unreachable", "avoided", "gone",
			"active", "revoked", "expired", "closed", "half-open", "open", "leads", "unsure", "waits",
		},
		"Rows": rows, "Sort": sorting, "Q": find.q, "Slot": slot,
	})
}
