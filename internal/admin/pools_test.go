package admin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestPool_ShowsWhatSitsWhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.fleet.snapshot
	now.Models[1].Model.ParkedMemory = 32 << 30
	now.Instances = append(now.Instances, fleet.InstanceStatus{Instance: fleet.Instance{ID: "i-2", Model: "acme/b", State: fleet.Asleep}})
	slot := &now.Pools[0].Slots[0]
	slot.Sleepers = []string{"i-2"}
	slot.Reserved = []fleet.Reservation{{Instance: "i-3", Model: "acme/b", GPU: 0, GPUs: 2}}
	now.Pools[0].Slots = append(now.Pools[0].Slots, fleet.SlotStatus{Slot: fleet.Slot{ID: "s2", GPUs: 2, Host: 1 << 40, Pending: true}, Occupants: []string{"", ""}})
	pool, err := w.client.Pool(t.Context(), "local")
	check(t, err)
	want := []admin.Slot{
		{
			ID: "local-0", Node: "local", GPUs: 4, Occupants: []string{"", "", "i-1", "i-1"}, Parked: []string{"i-2"},
			Reserved: []admin.Reservation{{Instance: "i-3", Model: "acme/b", GPU: 0, GPUs: 2}}, HostMemory: "1.5TiB", ParkedMemory: "32GiB",
		},
		{ID: "s2", GPUs: 2, Pending: true, Occupants: []string{"", ""}, Parked: []string{}, Reserved: []admin.Reservation{}, HostMemory: "1TiB", ParkedMemory: "0B"},
	}
	if diff := cmp.Diff(want, pool.Live); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
}

func TestTunePool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool, err := w.client.TunePool(t.Context(), "local", map[string]string{"max_parked_per_gpu": "6", "slots.min": "1", "slots.max": "2", "slot_idle": ""})
	check(t, err)
	want := map[string]string{"max_parked_per_gpu": "6", "slots.min": "1", "slots.max": "2", "slot_idle": ""}
	if diff := cmp.Diff(want, w.fleet.tuned); diff != "" || len(pool.Tuned) != len(want) {
		t.Errorf("got %+v; settings (-want +got):\n%s", pool, diff)
	}
	clear(w.fleet.tuned)
	status, body, _ := w.ask("PATCH", "/api/pools/local", `{"max_parked_per_gpu": 6, "slots": {"min": null, "max": "2"}, "latency_weight": 2.5, "host_memory": null}`)
	want = map[string]string{"max_parked_per_gpu": "6", "slots.min": "", "slots.max": "2", "latency_weight": "2.5", "host_memory": ""}
	if diff := cmp.Diff(want, w.fleet.tuned); diff != "" || status != 200 {
		t.Errorf("got %d %s; settings (-want +got):\n%s", status, body, diff)
	}
}

func TestTunePool_RefusesWhatIsNoSetting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, row := range []struct{ body, param, says string }{
		{``, "", "empty"},
		{`[]`, "", "not a JSON object"},
		{`{"slot_idle": "5m"`, "", "not valid JSON"},
		{`{"slot_idle": "5m", "slot_idle": "6m"}`, "slot_idle", "twice"},
		{`{"slots": {"min": 1, "min": 2}}`, "min", "twice"},
		{`{"slots": {"min": {}}}`, "slots.min", "write a number, a text, or null"},
		{`{"slot_idle": ["5m"]}`, "slot_idle", "write a number, a text, or null"},
		{`{"max_parked_per_gpu": true}`, "max_parked_per_gpu", "is true"},
	} {
		status, body, _ := w.ask("PATCH", "/api/pools/local", row.body)
		if status != 400 || paramOf(body) != row.param || !strings.Contains(body, row.says) {
			t.Errorf("%s: got %d %s, want a 400 at %q that says %q", row.body, status, body, row.param, row.says)
		}
	}
	w.fleet.failure = openai.NewError(openai.CodeInvalidRequest, "no such setting")
	if status, body, _ := w.ask("PATCH", "/api/pools/local", `{"colour": "blue"}`); status != 400 || !strings.Contains(body, "no such setting") {
		t.Errorf("got %d %s, want the tuner's refusal", status, body)
	}
	w.fleet.failure = nil
	if status, body, _ := w.ask("PATCH", "/api/pools/none", `{"slot_idle": "5m"}`); status != 404 || len(w.fleet.tuned) > 0 {
		t.Errorf("an unknown pool: got %d %s, tuned %v", status, body, w.fleet.tuned)
	}
}
