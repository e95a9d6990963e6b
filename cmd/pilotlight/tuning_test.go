package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// tuned opens the tuning of a config over a store in which settings are kept: scope -> key -> text. It gives the log too, and what the planner is told.
func tuned(t *testing.T, text string, kept map[string]map[string]string) (*tuning, *bytes.Buffer, *[]fleet.Pool) {
	t.Helper()
	cfg, err := config.Parse("p.hcl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for scope, settings := range kept {
		if err := db.SaveSettings(t.Context(), scope, settings, nil); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	s := &server{c: serverConfig{Config: cfg, Log: slog.New(slog.NewTextHandler(&log, nil))}, store: db}
	if err := s.openTuning(t.Context()); err != nil {
		t.Fatal(err)
	}
	var applied []fleet.Pool
	s.tuning.apply = func(p fleet.Pool) error { applied = append(applied, p); return nil }
	return s.tuning, &log, &applied
}

const twoPools = `
backend "nomad" {}
pool "a" {}
pool "b" {}
model "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8" {
  pool = "b"
}
`

func TestTuning_WhatIsKeptBeatsTheFile(t *testing.T) {
	s, log, _ := tuned(t, twoPools, map[string]map[string]string{"pool/a": {"slot_idle": "1m", "latency_weight": "3"}, "autoscaler": {"adaptive": "{}"}})
	pools := s.pools()
	if len(pools) != 2 || fleet.FormatDuration(pools[0].SlotIdle) != "1m" || pools[0].LatencyWeight != 3 || pools[1].LatencyWeight != 10 || log.Len() > 0 {
		t.Errorf("got %+v, log %q", pools, log)
	}
	want := []admin.Tuned{{Key: "latency_weight", Value: "3", File: "10"}, {Key: "slot_idle", Value: "1m", File: "15m"}}
	if diff := cmp.Diff(want, s.Tuned("a")); diff != "" || s.Tuned("b") != nil || s.Tuned("none") != nil {
		t.Errorf("b is tuned to %v; a (-want +got):\n%s", s.Tuned("b"), diff)
	}
}

// TestTuning_WhatNoLongerFitsIsSaidAndLeftOut has each way in which that can be, beside a setting that fits.
func TestTuning_WhatNoLongerFitsIsSaidAndLeftOut(t *testing.T) {
	for name, row := range map[string]struct{ pool, key, value, says string }{
		"no such pool":       {"gone", "slot_idle", "1m", "not in the config"},
		"no such setting":    {"b", "colour", "blue", "no setting of a pool"},
		"no such value":      {"b", "slots.max", "many", "is no number"},
		"against the file":   {"b", "slots.min", "9", "more than slots.max"},
		"against the models": {"b", "max_parked_per_gpu", "9", "405B"},
		"not at run time":    {"b", "node_pool", "gpu", "Nomad job"},
	} {
		t.Run(name, func(t *testing.T) {
			kept := map[string]map[string]string{"pool/b": {"parked_gpu_memory": "3GiB"}, "pool/a": {"slot_idle": "2m"}}
			if kept["pool/"+row.pool] == nil {
				kept["pool/"+row.pool] = map[string]string{}
			}
			kept["pool/"+row.pool][row.key] = row.value
			s, log, applied := tuned(t, twoPools, kept)
			pools := s.pools()
			file, _ := s.config.Pool("b")
			file.ParkedGPUMemory = 3 << 30
			if diff := cmp.Diff(file, pools[1]); diff != "" || fleet.FormatDuration(pools[0].SlotIdle) != "2m" {
				t.Errorf("pool b is not that of the file with what fits (-want +got):\n%s", diff)
			}
			for _, want := range []string{"level=WARN", "pool=" + row.pool, row.key + "=" + row.value, row.says} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("got log %q, want %q in it", log, want)
				}
			}
			if row.pool != "b" {
				return
			}
			if err := s.Tune(t.Context(), "b", map[string]string{"slot_idle": "3m"}); err == nil || !strings.Contains(err.Error(), row.key+"= resets it") {
				t.Errorf("got %v, want to read how to reset it", err)
			}
			if err := s.Tune(t.Context(), "b", map[string]string{row.key: "", "slot_idle": "3m"}); err != nil || len(*applied) != 1 || len(s.Tuned("b")) != 2 {
				t.Errorf("resetting it: got %v, %d applied, still tuned %v", err, len(*applied), s.Tuned("b"))
			}
		})
	}
}

func TestTuning_AFailingStoreChangesNothing(t *testing.T) {
	s, _, applied := tuned(t, twoPools, nil)
	s.store.Close()
	if err := s.Tune(t.Context(), "a", map[string]string{"slot_idle": "1m"}); err == nil || len(*applied) > 0 || s.Tuned("a") != nil {
		t.Errorf("got %v, %v applied, tuned %v; want an error and nothing changed", err, *applied, s.Tuned("a"))
	}
	if err := s.Tune(t.Context(), "none", nil); !errors.Is(err, activator.ErrUnknownPool) {
		t.Errorf("got %v, want an unknown pool", err)
	}
}

// TestTuning_IsInTheAuditLog with what was in force before, in the transaction that keeps it.
func TestTuning_IsInTheAuditLog(t *testing.T) {
	s, _, _ := tuned(t, twoPools, nil)
	act := &audit.Act{Who: audit.Who{Actor: "root"}, Action: "pool.tune"}
	for _, changes := range []map[string]string{{"slot_idle": "1m", "latency_weight": "3"}, {"slot_idle": ""}} {
		if err := s.Tune(audit.With(t.Context(), act), "a", changes); err != nil {
			t.Fatal(err)
		}
	}
	page, _, err := audit.New(s.store, nil).List(t.Context(), audit.Query{})
	if err != nil || len(page) != 2 {
		t.Fatalf("got %+v, %v, want one entry for each", page, err)
	}
	for i, want := range []string{`pool/a {"slot_idle":"1m"} {"slot_idle":"15m"}`, `pool/a {"latency_weight":"10","slot_idle":"15m"} {"latency_weight":"3","slot_idle":"1m"}`} {
		if got := fmt.Sprint(page[i].Subject, " ", string(page[i].Before), " ", string(page[i].After)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
