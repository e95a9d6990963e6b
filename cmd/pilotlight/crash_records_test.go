package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// billOf reads what a whole answer says of its cost: in its headers, or in its last chunk but [DONE].
func billOf(a *answer) (said bill, err error) {
	usd := a.header.Get("X-Pilotlight-Cost-Usd")
	if a.stream() {
		lines := strings.Split(strings.TrimSpace(a.body), "\n")
		var last struct {
			Pilotlight struct {
				Billed  int64  `json:"billed_us"`
				CostUSD string `json:"cost_usd"`
			}
		}
		for _, line := range lines {
			if data, is := strings.CutPrefix(line, "data: {"); is {
				if err := json.Unmarshal([]byte("{"+data), &last); err != nil {
					return bill{}, fmt.Errorf("reading %q: %w", line, err)
				}
			}
		}
		said.Billed, usd = last.Pilotlight.Billed, last.Pilotlight.CostUSD
	} else {
		whole, part, _ := strings.Cut(a.header.Get("X-Pilotlight-Billed-Ms"), ".")
		if said.Billed, err = strconv.ParseInt(whole+(part + "000")[:3], 10, 64); err != nil {
			return bill{}, fmt.Errorf("reading X-Pilotlight-Billed-Ms: %w", err)
		}
	}
	said.Cost, err = fleet.ParseUSD(usd)
	return said, err
}

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

// keepCrashes writes what runs have found into the file that PILOTLIGHT_CRASH_RESULT names.
func keepCrashes(t *testing.T, seed uint64, outcomes []map[string]any) {
	t.Helper()
	path := os.Getenv("PILOTLIGHT_CRASH_RESULT")
	if path == "" {
		return
	}
	text, err := json.MarshalIndent(map[string]any{
		"scenario": "the whole server killed at random points under load", "date": time.Now().UTC().Format(time.DateOnly),
		"machine": fmt.Sprint(runtime.NumCPU(), " CPUs"), "go": runtime.Version(), "seed": seed, "runs": outcomes,
	}, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}
