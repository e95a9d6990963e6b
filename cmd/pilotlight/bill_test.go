package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// TestBill_PublishedTableComesOut holds what 500 input and 100 output tokens bill on a hot, otherwise idle instance.
func TestBill_PublishedTableComesOut(t *testing.T) {
	if testing.Short() {
		t.Skip("runs at the speed of life; not in short runs")
	}
	s := startDev(t, t.TempDir(), "--sim-speed", "1", "--sim-stack", "published", "--sim-seed", "0",
		"--sim-load-time", "1s", "--sim-container-start", "0s") // what is billed comes after the load
	for _, row := range []struct {
		model  string
		gpus   int
		billed time.Duration
	}{
		{"meta-llama/Meta-Llama-3-8B-Instruct", 1, time.Second},
		{"meta-llama/Meta-Llama-3-70B-Instruct", 4, 2 * time.Second},
		{"meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", 8, 5 * time.Second},
	} {
		t.Run(row.model, func(t *testing.T) {
			s.mustChat(t, row.model, false) // makes it hot
			billed, record := s.referenceRequest(t, row.model)
			t.Logf("%v on %d GPUs, $%v", billed, record.GPUs, record.Cost)
			if off := math.Abs(billed.Seconds()/row.billed.Seconds() - 1); off > 0.15 {
				t.Errorf("got %v billed, want %v within 15 %%", billed, row.billed)
			}
			if record.GPUs != row.gpus {
				t.Errorf("got %d GPUs, want %d", record.GPUs, row.gpus)
			}
			if want := ledger.Cost(billed, row.gpus, record.Price); record.Cost != want {
				t.Errorf("got cost %v, want %v", record.Cost, want)
			}
		})
	}
}

// referenceRequest asks for 100 tokens with a prompt of 500 and gives what was billed, as header and record say.
func (s *devServer) referenceRequest(t *testing.T, model string) (time.Duration, admin.Record) {
	t.Helper()
	words := 500
	for range 8 { // the chat template adds tokens of its own: correct the prompt until it has 500
		a, prompt := s.promptOf(t, model, words, 1)
		if prompt == 500 {
			a, _ = s.promptOf(t, model, words, 100)
			return s.billed(t, a)
		}
		words += 500 - prompt
		if !a.whole() {
			t.Fatalf("got %+v, want a whole answer", a)
		}
	}
	t.Fatal("no number of words makes a prompt of 500 tokens")
	return 0, admin.Record{}
}

// promptOf sends a prompt of so many words and gives how many tokens the engine counted.
func (s *devServer) promptOf(t *testing.T, model string, words, tokens int) (*answer, int) {
	t.Helper()
	body := fmt.Appendf(nil, `{"model": %q, "max_tokens": %[2]d, "min_tokens": %[2]d, "ignore_eos": true, "messages": [{"role": "user", "content": %q}]}`,
		model, tokens, strings.TrimSpace(strings.Repeat("on ", words)))
	a, err := s.post(t.Context(), "/chat/completions", body)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Usage struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &said); err != nil || said.Usage.Completion != tokens {
		t.Fatalf("got status %d and body %q, want usage with %d completion tokens (%v)", a.status, a.body, tokens, err)
	}
	return a, said.Usage.Prompt
}

// billed gives the billed time of an answer's header, and its record.
func (s *devServer) billed(t *testing.T, a *answer) (time.Duration, admin.Record) {
	t.Helper()
	ms, err := strconv.ParseFloat(a.header.Get("X-Pilotlight-Billed-Ms"), 64)
	if err != nil {
		t.Fatalf("reading X-Pilotlight-Billed-Ms: %v", err)
	}
	billed := time.Duration(math.Round(ms*1000)) * time.Microsecond
	var record admin.Record
	eventually(t, 2*time.Second, func() string {
		for _, r := range s.records(t) {
			if r.RequestID == a.header.Get("X-Request-Id") {
				record = r
				return ""
			}
		}
		return "there is no record of the request"
	})
	if got := record.Billed; got != billed {
		t.Errorf("got %v in the record, want the header's %v", got, billed)
	}
	return billed, record
}

// records gives the records of all requests that have ended: sums have them at once, the list half a second later.
func (s *devServer) records(t *testing.T) (all []admin.Record) {
	t.Helper()
	client, ended := s.admin(t), int64(0)
	usage, err := client.Usage(t.Context(), admin.UsageQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range usage.Usage {
		ended += row.Requests
	}
	eventually(t, 5*time.Second, func() string {
		all = nil
		for cursor := ""; ; {
			page, err := client.Records(t.Context(), "", cursor, 0)
			if err != nil {
				return err.Error()
			}
			all = append(all, page.Records...)
			if page.NextCursor == nil {
				break
			}
			cursor = *page.NextCursor
		}
		if int64(len(all)) < ended {
			return fmt.Sprintf("%d records of %d requests are listed", len(all), ended)
		}
		return ""
	})
	return all
}
