package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestNomad_TakesAChangedConfig changes a model that serves, adds one, and removes two, of which one is hot and one is being started for somebody: all of
// them have jobs of their own.
func TestNomad_TakesAChangedConfig(t *testing.T) {
	c, sim := startShared(t)
	const (
		changed = "meta-llama/Meta-Llama-3-8B-Instruct"
		added   = "meta-llama/Meta-Llama-3.1-8B-Instruct"
		removed = "mistralai/Mistral-7B-Instruct-v0.3"
		awaited = "mistralai/Mixtral-8x7B-Instruct-v0.1"
	)
	f := nomadFile{cluster: c, name: "reload", sim: sim, models: []nomadModel{
		{id: changed, args: []string{"--sim-speed", "50"}},
		{id: removed, args: []string{"--sim-speed", "500"}},
		{id: awaited, args: []string{"--sim-speed", "50", "--sim-load-time", "200s"}},
	}}
	s := startServe(t, f)
	client := s.admin(t)
	first := s.mustChat(t, changed, true).header.Get("X-Pilotlight-Instance")
	s.mustChat(t, removed, true)
	before := runningJobs(t, c, "reload")

	served := make(chan *answer, 1)
	go func() { // ends with its stream, which is awaited below
		body := fmt.Appendf(nil, `{"model": %q, "stream": true, "max_tokens": 4000, "min_tokens": 4000, "ignore_eos": true,
			"messages": [{"role": "user", "content": "Count."}]}`, changed)
		a, err := s.post(context.Background(), "/chat/completions", body)
		if err != nil {
			a = &answer{err: err}
		}
		served <- a
	}()
	eventually(t, 10*time.Second, func() string {
		if m, err := client.Model(t.Context(), changed); err != nil || m.Inflight != 1 {
			return fmt.Sprintf("the stream is not in flight (%v)", err)
		}
		return ""
	})
	waiting := s.chatAside(t, awaited)
	eventually(t, 10*time.Second, func() string {
		if m, err := client.Model(t.Context(), awaited); err != nil || m.Waiting != 1 || m.Starting != 1 {
			return fmt.Sprintf("%s is not being started for anybody (%v)", awaited, err)
		}
		return ""
	})
	f.models = []nomadModel{
		{id: changed, args: []string{"--sim-speed", "400"}, settings: "  max_concurrency = 32"}, {id: added, args: []string{"--sim-speed", "500"}},
	}
	s.hangUp(t, filepath.Join(s.DataDir, "pilotlight.hcl"), f.text(), "config applied")

	if a := s.mustChat(t, changed, true); a.header.Get("X-Pilotlight-Instance") == first {
		t.Errorf("served by %s, which was launched with something else", first)
	}
	if a := <-served; !a.whole() {
		t.Errorf("the stream that was being served: got %+v, want it whole", a)
	}
	s.mustChat(t, added, true)
	select {
	case a := <-waiting:
		if !a.whole() {
			t.Errorf("who waited for a model that is gone: got %+v, want a whole answer", a)
		}
	case <-time.After(time.Minute):
		t.Error("who waited for a model that is gone still waits")
	}
	if a, err := s.chat(t.Context(), removed, false); err != nil || a.status != http.StatusNotFound {
		t.Errorf("the removed model: got %+v, %v, want 404", a, err)
	}
	eventually(t, time.Minute, func() string {
		now := runningJobs(t, c, "reload")
		if ids := slices.Sorted(maps.Keys(now)); !slices.Equal(ids, []string{changed, added}) || now[changed] == before[changed] {
			return fmt.Sprintf("the jobs are %v, and were %v", now, before)
		}
		return ""
	})
	for _, id := range []string{changed, added} {
		if _, err := client.StopModel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, func() string { return agree(t, c, s, "reload", nil) })
}
