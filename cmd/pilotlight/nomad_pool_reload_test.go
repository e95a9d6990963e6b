package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// replacesSlots has a config say what the one slot of a pool cannot have: its job was launched with less memory. The slot serves whom it has; once nobody is
// busy there it is given back, another one comes in its place, and nobody who waits is refused.
func replacesSlots(t *testing.T, site *poolSite) {
	const serves, comes = "meta-llama/Meta-Llama-3-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct"
	l := poolLane{name: "outdated", slots: fleet.Range{Max: 1}, pool: `  slot_idle = "1h"`}
	models := func(idle, memory string, ids ...string) (text string) {
		for _, id := range ids {
			text += pooledModel(id, fmt.Sprintf("  idle_after = %q", idle), fmt.Sprintf("    memory = %q", memory),
				"--sim-speed", "20", "--sim-load-time", "20s", "--sim-seed", l.seed())
		}
		return text
	}
	l.text = models("1h", "256MiB", serves)
	here := site.lane(t, l)
	here.mustChat(t, serves, true)
	before := here.jobs()
	if len(before) != 1 {
		t.Fatalf("jobs %v run, want one slot", before)
	}

	served := make(chan *answer, 1)
	go func() { // ends with its stream, which is awaited below
		body := fmt.Appendf(nil, `{"model": %q, "stream": true, "max_tokens": 8000, "min_tokens": 8000, "ignore_eos": true,
			"messages": [{"role": "user", "content": "Count."}]}`, serves)
		a, err := here.post(context.Background(), "/chat/completions", body)
		if err != nil {
			a = &answer{err: err}
		}
		served <- a
	}()
	eventually(t, 10*time.Second, func() string {
		if m, err := here.admin(t).Model(t.Context(), serves); err != nil || m.Inflight != 1 {
			return fmt.Sprintf("the stream is not in flight (%v)", err)
		}
		return ""
	})
	path := filepath.Join(here.DataDir, "pilotlight.hcl")
	here.text = models("1h", "512MiB", serves, comes)
	here.hangUp(t, path, here.config(), "config applied")
	waiting := here.chatAside(t, comes)
	eventually(t, 10*time.Second, func() string {
		if m, err := here.admin(t).Model(t.Context(), comes); err != nil || m.Waiting != 1 {
			return fmt.Sprintf("nobody waits for %s (%v)", comes, err)
		}
		return ""
	})
	if now := here.jobs(); len(now) != 1 || now[0] != before[0] {
		t.Errorf("jobs %v run while the first slot serves, want that one", now)
	}
	for what, answered := range map[string]<-chan *answer{"the stream that was being served": served, "who waited for a slot that can have it": waiting} {
		select {
		case a := <-answered:
			if !a.whole() {
				t.Errorf("%s: got %+v, want a whole answer", what, a)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: no answer in two minutes", what)
		}
	}
	here.mustChat(t, serves, true) // in the new slot
	now := here.jobs()
	if len(now) != 1 || now[0] == before[0] {
		t.Errorf("jobs %v run, want one slot in the place of %v", now, before)
	}
	var job struct {
		TaskGroups []struct {
			Tasks []struct{ Resources struct{ MemoryMB int } }
		}
	}
	getJSON(t, site.cluster.Nomad.Addr+"/v1/job/"+now[0], &job)
	if got := job.TaskGroups[0].Tasks[0].Resources.MemoryMB; got < 512 {
		t.Errorf("the new slot has %d MiB, want what the config says", got)
	}

	here.pool, here.text = `  slot_idle = "2s"`, models("1s", "512MiB", serves, comes)
	here.hangUp(t, path, here.config(), "config applied")
}
