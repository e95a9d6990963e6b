package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// moody is an observer that speaks, or fails, as it is told.
type moody struct {
	source string
	mood   chan error // nil = it speaks
	slots  []fleet.Slot
}

func (m moody) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	for {
		select {
		case err := <-m.mood:
			if err != nil {
				return err
			}
			tell(fleet.Observation{Source: m.source, At: time.Now(), Complete: true, Nodes: []fleet.Node{}, Slots: m.slots})
		case <-ctx.Done():
			return nil
		}
	}
}

func TestReadiness_IsOnceHeardAndThenDegradedOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UTC().Format(time.RFC3339)
		nomad, agent := moody{source: "nomad", mood: make(chan error)}, moody{source: "consul", mood: make(chan error)}
		s := &server{c: serverConfig{Lead: newLead(nil, slog.New(slog.DiscardHandler))}}
		a, err := activator.New(activator.Config{
			Backend: &fencing{}, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}),
			Observers: []activator.Observer{s.silence.await("Nomad", "nomad", nomad), s.silence.await("Consul", "consul", agent)},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.activator = a
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = a.Run(ctx) })
		defer running.Wait()
		defer stop()
		want := func(unready string, degraded ...string) {
			t.Helper()
			synctest.Wait()
			got := ""
			if err := s.readiness(); err != nil {
				got = err.Error()
			}
			if got != unready || !slices.Equal(s.degraded(), degraded) {
				t.Errorf("got %q, degraded %q; want %q, degraded %q", got, s.degraded(), unready, degraded)
			}
		}
		want("no answer yet from Nomad and Consul")
		nomad.mood <- fmt.Errorf("listing jobs at 10.0.0.1: %w", fleet.ErrDenied)
		want("no answer yet from Nomad (it refuses the token, or a right) and Consul", "nomad refuses the token, or a right, since "+began)
		agent.mood <- nil
		nomad.mood <- nil
		want("")
		nomad.mood <- fmt.Errorf("dialing 10.0.0.1: %w", fleet.ErrUnreachable)
		agent.mood <- fmt.Errorf("asking: %w", fleet.ErrDenied)
		later := time.Now().UTC().Format(time.RFC3339)
		want("", "consul refuses the token, or a right, since "+later, "nomad cannot be reached since "+later)
		s.c.Lead.overtaken(fleet.ErrFenced)
		if err := s.readiness(); !errors.Is(err, errTakenOver) {
			t.Errorf("who is fenced says %v, want %v", err, errTakenOver)
		}
		s.draining.Store(true)
		if err := s.readiness(); !errors.Is(err, errStopping) {
			t.Errorf("who stops says %v, want %v", err, errStopping)
		}
	})
}

// TestReadiness_AwaitsTheSlotsThatRun until their supervisors have spoken, or were silent for ten seconds; slots that come later do not count.
func TestReadiness_AwaitsTheSlotsThatRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := func(ids ...string) (slots []fleet.Slot) {
			for _, id := range ids {
				slots = append(slots, fleet.Slot{ID: id, Pool: "p", GPUs: 8, Supervisor: fleet.SlotSource + id})
			}
			return slots
		}
		lister := moody{source: "nomad", mood: make(chan error), slots: ran("x", "y")}
		speaks := moody{source: fleet.SlotSource + "x", mood: make(chan error), slots: ran("x")}
		s := &server{c: serverConfig{Lead: newLead(nil, slog.New(slog.DiscardHandler))}}
		a, err := activator.New(activator.Config{
			Backend: &fencing{}, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Pools: []fleet.Pool{{Name: "p", GPUsPerSlot: 8}},
			Observers: []activator.Observer{s.silence.await("Nomad", "nomad", lister), speaks},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.activator = a
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = a.Run(ctx) })
		defer running.Wait()
		defer stop()
		want := func(unready string) {
			t.Helper()
			synctest.Wait()
			if err := s.readiness(); (err == nil) != (unready == "") || err != nil && err.Error() != unready {
				t.Errorf("got %v, want %q", err, unready)
			}
		}
		want("no answer yet from Nomad")
		lister.mood <- nil
		want("no answer yet from the supervisors of 2 slots")
		speaks.mood <- nil
		want("no answer yet from the supervisor of 1 slot")
		time.Sleep(11 * time.Second)
		want("")
	})
}

func TestServe_WhatConsulRefusesIsSaidWhileItWaits(t *testing.T) {
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Permission denied: token with AccessorID 'x' lacks permission 'service:write'", http.StatusForbidden)
	}))
	defer agent.Close()
	dir := t.TempDir()
	text := fmt.Sprintf("api { addr = \"127.0.0.1:0\" }\nadmin { addr = \"127.0.0.1:0\" }\nbackend \"nomad\" {\n  consul { addr = %q }\n}\n%s", agent.URL,
		`model "meta-llama/Meta-Llama-3-8B-Instruct" {}`)
	if err := os.WriteFile(filepath.Join(dir, "pilotlight.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := waitingServe(t, dir)
	if text := getText(t, s.standby(t)+"/readyz", http.StatusServiceUnavailable); !strings.Contains(text, "Consul refuses this server's token, or a right") || strings.Contains(text, "AccessorID") {
		t.Errorf("readyz says %s", text)
	}
	for _, words := range []string{"lacks permission 'service:write'", "registering this server"} {
		if !strings.Contains(s.stderr.String(), words) {
			t.Errorf("the log does not say %q", words)
		}
	}
}
