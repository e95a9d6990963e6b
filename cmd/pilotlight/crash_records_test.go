package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// rawRecords gives the JSON of all records, oldest first, as the admin API shows them.
func (s *devServer) rawRecords(t *testing.T) (all []json.RawMessage) {
	t.Helper()
	token, err := readSecret(filepath.Join(s.DataDir, adminTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	for cursor := ""; ; {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Admin+"/api/usage/records?limit=1000&cursor="+url.QueryEscape(cursor), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Records []json.RawMessage `json:"records"`
			Next    *string           `json:"next_cursor"`
		}
		err = json.NewDecoder(answer.Body).Decode(&page)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("listing records: got status %d, %v", answer.StatusCode, err)
		}
		all = append(all, page.Records...)
		if page.Next == nil {
			return all
		}
		cursor = *page.Next
	}
}

// keepResult writes what a run has found into the file that PILOTLIGHT_CRASH_RESULT names.
func (c *crashed) keepResult(points int, seed uint64, records int) {
	path := os.Getenv("PILOTLIGHT_CRASH_RESULT")
	if path == "" {
		return
	}
	text, err := json.MarshalIndent(map[string]any{
		"scenario": "the whole server killed at random points under load", "date": time.Now().UTC().Format(time.DateOnly),
		"machine": fmt.Sprint(runtime.NumCPU(), " CPUs"), "go": runtime.Version(), "failed": c.t.Failed(),
		"points": points, "seed": seed, "kills_while_starting": c.recovery, "torn_writes": c.torn,
		"requests": c.asked, "whole_answers": len(c.whole), "records": records, "in_flight_at_kills": c.cut,
	}, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		c.t.Error(err)
	}
}
